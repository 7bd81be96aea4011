"""
Settings written out: the effective ones as TOML, and all of them as a page of documentation.
"""

import json
from collections.abc import Iterator
from typing import Any

from twisted_registry.config.load import DEFAULT, SECTIONS, Loaded
from twisted_registry.config.setting import Setting, settings_of

_PAGE = """\
# Configuration

<!-- Made by 'make reference' from twisted_registry/config/. Do not edit. -->

A setting is given by a flag of `twistd model-registry`, by an environment variable, or in a configuration file. A flag
overrides a variable, a variable overrides the file, and the file overrides the default. An empty variable counts as
unset. A switch such as `--grpc-reflection` also has a flag that turns it off: `--no-grpc-reflection`.
`twistd model-registry --help` prints the same text.

| flag | environment | meaning |
| --- | --- | --- |
| `--config=FILE` | `COGMENT_MODEL_REGISTRY_CONFIG` | the configuration file |
| `--check-config` | | check the configuration, print the effective settings with the origin of each, and exit |

The configuration file is [TOML](https://toml.io). Its tables are the sections below, and its keys are the names of the
flags without the dashes in front. Numbers and switches are written without quotes:

```toml
[network]
port = 9000
grpc-reflection = true

[storage]
archive-dir = "/data"
```

An unknown key is an error. An unknown variable that begins with `COGMENT_MODEL_REGISTRY_` is a warning in the log,
which names the most similar setting. `--check-config` checks everything, including the descriptions of storage, but
opens nothing. Its exit status is 0 if the configuration is valid, and 1 if not. Its output is a valid configuration
file.
"""


def reference_page() -> str:
    """
    Return the page on all settings, in Markdown.
    """
    return _PAGE + "".join(f"\n## {name}\n\n{_table(section)}" for name, section in SECTIONS.items())


def _table(section: type) -> str:
    title = (section.__doc__ or "").strip().split("\n", 1)[0]
    rows = "\n".join(_row(setting) for _, setting in settings_of(section))
    return f"{title}\n\n| flag | environment | default | meaning |\n| --- | --- | --- | --- |\n{rows}\n"


def _row(setting: Setting) -> str:
    meaning = f"{setting.help} ({setting.type.expected})" if setting.type.toml_types != (bool,) else setting.help
    return f"| `{setting.flag}` | `{setting.variable}` | {setting.default_text} | {meaning} |"


def effective_settings(loaded: Loaded) -> str:
    """
    Return the effective settings as TOML, with the origin of each in a comment.
    """
    return "\n\n".join("\n".join([f"[{name}]", *_lines(getattr(loaded.settings, name), loaded)]) for name in SECTIONS)


def _lines(section: Any, loaded: Loaded) -> Iterator[str]:
    for field, setting in settings_of(type(section)):
        origin = loaded.origins.get(setting.name)
        if origin is None:
            continue
        value = getattr(section, field)
        if origin == DEFAULT and not value and not isinstance(value, bool) and setting.default_text != str(value):
            yield f"# {setting.name}: {setting.default_text}"
        else:
            yield f"{setting.name} = {json.dumps(value)}  # {origin}"
