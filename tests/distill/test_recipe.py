import pytest

from augmentlm.catalog import models
from augmentlm.distill.recipe import RECIPES, Preference, read_recipe
from augmentlm.errors import InputError

GOOD = (RECIPES / "refine.toml").read_text(encoding="utf-8")
PREFERENCE = "[preference]\nbeta = 0.3\nlikelihood_weight = 0\ngap = 2\ngood = 7\n"


@pytest.mark.parametrize("task", ["refine", "expand", "pair"])
def test_the_family_has_a_recipe_a_task_on_a_base_of_the_catalog(task):
    recipe = read_recipe(RECIPES / f"{task}.toml")
    assert recipe.task == task
    assert recipe.base in models()


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_can_be_read_and_those_that_prefer_say_how_much(path):
    recipe = read_recipe(path)
    assert recipe.base in models()
    assert bool(recipe.preference) == path.stem.endswith("-preferred")


def test_a_preference_is_read(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(GOOD + PREFERENCE, encoding="utf-8")
    assert read_recipe(path).preference == Preference(beta=0.3, likelihood_weight=0, gap=2, good=7)
    path.write_text(GOOD, encoding="utf-8")
    assert read_recipe(path).preference is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gap = 2\n", "", r"\[preference\] of the recipe .* lacks: gap"),
        ("gap = 2\n", "gap = 2\ngamma = 1\n", "has unknown: gamma"),
        ("beta = 0.3", 'beta = "1"', r"In the table .*, beta is '1'; it has to be a number"),
        ("beta = 0.3", "beta = 0.0", "beta is 0; it has to be above zero"),
        ("beta = 0.3", "beta = inf", "beta is inf"),
        ("gap = 2", "gap = 0", "gap is 0; it has to be above zero"),
        ("likelihood_weight = 0", "likelihood_weight = -1", "likelihood_weight is -1; it has to be a number, zero"),
        (PREFERENCE, "preference = 0.1\n", r"preference is 0.1; it has to be a table"),
    ],
)
def test_what_is_wrong_with_a_preference_is_said(tmp_path, old, new, said):
    assert old in PREFERENCE
    path = tmp_path / "recipe.toml"
    path.write_text(GOOD + PREFERENCE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_recipe(path)


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
