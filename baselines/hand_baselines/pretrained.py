"""`from_pretrained`, `save_pretrained` and `push_to_hub` of the networks.

`huggingface_hub.PyTorchModelHubMixin` gives the last two, where it is installed. What is written is
a folder of weights as everywhere in this project, sealed with the SHA-256 of its files, and reading
is that of `weights.load_weights`: by path, name or ORG/NAME, strictly.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hand_bench.errors import BaselineError, Problem

if TYPE_CHECKING:
    from typing import Self

    from huggingface_hub import PyTorchModelHubMixin

    from hand_baselines.models import Model
else:
    try:
        from huggingface_hub import PyTorchModelHubMixin
    except ImportError:  # a bare host: no Hub

        class PyTorchModelHubMixin:
            """Stands in: folders are read and written, nothing is pushed."""

            def save_pretrained(self, save_directory, **_options):
                """Write a folder of weights."""
                self._save_pretrained(Path(save_directory))

            def push_to_hub(self, *_arguments, **_options):
                """Raise HB401."""
                from hand_baselines.hub_errors import require_hub

                require_hub()


class Pretrained(PyTorchModelHubMixin):
    """What a network of `models.MODELS` inherits to be read from, and written to, the Hub.

    Attributes
    ----------
    facts
        What the weights answer with besides (`weights.Loaded`); kept when they are written again.
    """

    facts: dict[str, Any] | None = None

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        revision: str | None = None,
        **options: Any,
    ) -> Self:
        """Return the network of a folder, a shipped name or a repository of the Hub, to answer.

        Parameters
        ----------
        pretrained_model_name_or_path
            Path, NAME or ORG/NAME.
        revision
            Branch, tag or commit on the Hub.
        options
            The Hub's own: ``token``, ``cache_dir``, ``local_files_only``.

        Raises
        ------
        BaselineError
            HB302 for weights of another model; otherwise as `weights.load_weights`.
        """
        from hand_baselines.weights import load_weights

        where = _folder(str(pretrained_model_name_or_path), revision, options)
        loaded = load_weights(where)
        if type(loaded.network) is not cls:
            what = f"holds a {type(loaded.network).__name__}, not a {cls.__name__}."
            fix = f"`{type(loaded.network).__name__}.from_pretrained` reads it."
            raise BaselineError(Problem("HB302", str(where), what, fix=fix))
        loaded.network.facts = dict(loaded.facts)
        return loaded.network

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write a sealed folder of weights; a card of a few lines where it has none."""
        from hand_baselines.cards import plain_card
        from hand_baselines.weights import save_weights, seal

        model = _model_of(type(self))
        presets = (name for name in model.presets() if model.preset(name) == self.config)
        save_weights(save_directory, model, next(presets, ""), self, self.facts or {})
        seal(save_directory)
        card = save_directory / "README.md"
        if not card.is_file():
            name = save_directory.resolve().name
            card.write_text(plain_card(name, model.name, model.title), "utf-8")


def _folder(name: str, revision: str | None, options: dict[str, Any]) -> str | Path:
    """Find weights; with options of the Hub it is asked at once unless the name is a path."""
    from hand_baselines import hub
    from hand_baselines.weights import find_weights

    known = {"token": "token", "cache_dir": "cache", "local_files_only": "offline"}
    strange = sorted(set(options) - set(known))
    if strange:
        raise TypeError(f"from_pretrained has no option {strange[0]!r}")
    given = {known[k]: v for k, v in options.items() if v is not None}
    if given and not Path(name).exists():
        return hub.get(name, revision=revision, **given)
    return find_weights(name, revision=revision)


def _model_of(network: type) -> Model:
    from hand_baselines.models import MODELS

    for model in MODELS.values():
        if (f"{model.package}.model", model.network) == (network.__module__, network.__name__):
            return model
    raise BaselineError(Problem("HB302", network.__name__, "is no network of `models.MODELS`."))
