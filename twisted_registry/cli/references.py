"""
References to models and versions: their explanation in the help, and their texts for people and shells.
"""

from twisted_registry.cli.text import harmless_id, is_word
from twisted_registry.domain.references import Reference

REFERENCES = """\b
MODEL         the model, or its latest version
MODEL@3       its version 3; also MODEL@v3
MODEL@latest  its latest version; also MODEL@-1, and -2 is the one before
MODEL@ALIAS   the version that an alias names, such as MODEL@production

The version follows the last @. An @ in a model's id is written %40: version 3 of team@eu is team%40eu@3.
"""


def harmless_reference(model_id: str, version_number: int) -> str:
    """
    Return a version's reference for people, without control characters.
    """
    return f"{harmless_id(str(Reference(model_id)))}@{version_number}"


def model_word(model_id: str) -> str:
    """
    Return a model as a word for a shell; a placeholder if a shell would split or expand its id.
    """
    return str(Reference(model_id)) if is_word(model_id) else "MODEL"


def reference_word(reference: Reference) -> str:
    """
    Return a reference as a word for a shell; with a placeholder if a shell would split or expand the model's id.
    """
    version = reference.selector if reference.alias is None else reference.alias
    return model_word(reference.model_id) + ("" if version is None else f"@{version}")
