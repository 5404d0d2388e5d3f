"""All recipes, and which of them a message asks for."""

import re

from clawdbox.agents.runtimes.port import Suggestion
from clawdbox.agents.runtimes.runbook import (
    backups,
    certificates,
    containers,
    diagnose,
    disk,
    health,
    logs,
    memory,
    services,
    updates,
    who,
)
from clawdbox.agents.runtimes.runbook.recipe import Recipe

# Of two that fit alike, the first is taken: the general one comes last.
RECIPES: tuple[Recipe, ...] = (
    disk.RECIPE, memory.RECIPE, services.RECIPE, containers.RECIPE, certificates.RECIPE, logs.RECIPE,
    backups.RECIPE, updates.RECIPE, who.RECIPE, diagnose.RECIPE, health.RECIPE,
)  # fmt: skip
# In the order in which they are offered
_OFFERED = (
    health.RECIPE, diagnose.RECIPE, disk.RECIPE, memory.RECIPE, services.RECIPE, containers.RECIPE, logs.RECIPE,
    updates.RECIPE, certificates.RECIPE, backups.RECIPE, who.RECIPE,
)  # fmt: skip
_WORD = re.compile(r"[a-z0-9]+")


def choose(text: str) -> Recipe | None:
    """The recipe that most of the message's words speak for; a phrase counts for all its words."""
    said = f" {' '.join(_WORD.findall(text.lower()))} "
    best, best_score = None, 0
    for recipe in RECIPES:
        score = sum(len(word.split()) for word in recipe.words if f" {word} " in said)
        if score > best_score:
            best, best_score = recipe, score
    return best


def offered(asked: Recipe | None = None) -> tuple[Suggestion, ...]:
    return tuple(Suggestion(recipe.name, recipe.label) for recipe in _OFFERED if recipe is not asked)
