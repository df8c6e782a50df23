import pytest

from augmentlm.catalog import models
from augmentlm.distill.recipe import RECIPES, read_recipe
from augmentlm.errors import InputError

GOOD = (RECIPES / "refine.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["refine", "expand", "pair"])
def test_the_family_has_a_recipe_a_task_on_a_base_of_the_catalog(task):
    recipe = read_recipe(RECIPES / f"{task}.toml")
    assert recipe.task == task
    assert recipe.base in models()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rank = 16\n", "", "lacks: rank"),
        ("rank = 16\n", "rank = 16\nranks = 2\n", "unknown: ranks"),
        ("rank = 16\n", 'rank = "1"\n', "rank is '1'; it has to be a whole number"),
        ("rank = 16\n", "rank = true\n", "rank is True"),
        ("dropout = 0.0", "dropout = -0.5", "dropout is -0.5"),
        ('task = "refine"', 'task = "respond"', "expand or refine or pair"),
        ('method = "lora"', 'method = "qlora"', "lora or full"),
        ("rank = 16\n", "rank = \n", "not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said(tmp_path, old, new, said):
    assert old in GOOD
    path = tmp_path / "recipe.toml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_recipe(path)


def test_a_missing_recipe_is_said(tmp_path):
    with pytest.raises(InputError, match="can't be read"):
        read_recipe(tmp_path / "nothing.toml")
