"""Everything between this project and the Hugging Face hub: model cards, publishing, Spaces, collections.

Downloads of weights are `augmentlm.weights`; what is here imports huggingface_hub only when a hub call is wanted.
"""
