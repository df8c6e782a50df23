"""The app on an engine that makes rows of a data set: python tests/scripted_run_page.py PORT"""

import sys

from augmentlm.engines.scripted import ScriptedEngine
from augmentlm.ui.launch import launch
from scripted_cli import ScriptedPool
from scripted_run import dreamed

if __name__ == "__main__":
    launch(port=int(sys.argv[1]), pool=ScriptedPool(ScriptedEngine(dreamed, delay=0.003)))
