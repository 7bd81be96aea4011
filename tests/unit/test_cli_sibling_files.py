"""
Tests for ``twisted_registry.cli.sibling_files``.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_registry.cli.sibling_files import warnings


class CompanionTests(SynchronousTestCase):
    """
    ``warnings``.
    """

    def said(self, pushed: str, *beside: str) -> str:
        """
        Push a file next to other files, and return the warnings.
        """
        folder = Path(self.mktemp())
        for name in (pushed, *beside):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return "\n".join(warnings(folder / pushed))

    def test_beside(self) -> None:
        """
        A file that belongs to the pushed one by its name is named.
        """
        for pushed, beside in (
            ("m.onnx", "m.onnx.data"),
            ("m.onnx", "m.onnx_data"),
            ("m.onnx", "m.onnx_data_1"),
            ("m.onnx", "m.data"),
            ("m.onnx", "weights.pb"),
            ("a+b.onnx", "a+b.onnx.data"),
            ("saved_model.pb", "variables/variables.index"),
            ("ckpt-1.index", "ckpt-1.data-00000-of-00001"),
            ("ckpt-1.data-00000-of-00001", "ckpt-1.index"),
            ("m.xml", "m.bin"),
            ("m.param", "m.bin"),
            ("m.pdmodel", "m.pdiparams"),
        ):
            self.assertEqual(
                self.said(pushed, beside, "notes.txt"),
                f"{Path(beside).parts[0]} next to {pushed} may belong to the same model, and is not pushed",
            )

    def test_many(self) -> None:
        """
        Of many files the first are named, and the others counted.
        """
        said = self.said("m.onnx", *(f"m.onnx_data_{number}" for number in range(1, 6)))
        self.assertTrue(said.startswith("m.onnx_data_1, m.onnx_data_2, m.onnx_data_3 and 2 more next to m.onnx"), said)

    def test_parts(self) -> None:
        """
        A part of a model, and the list of its parts, are incomplete, whatever files are next to them.
        """
        for pushed in ("pytorch_model-00001-of-00003.bin", "model-00002-of-00003.safetensors", "m-00001-of-00003.gguf"):
            self.assertIn("is one of 3 parts", self.said(pushed))
        for pushed in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
            self.assertIn("lists the parts of a model", self.said(pushed))

    def test_nothing(self) -> None:
        """
        Other files cause no warning.
        """
        for pushed, beside in (
            ("m.onnx", "other.onnx.data"),
            ("m.pt", "m.onnx.data"),
            ("m.onnx.data", "m.onnx"),
            ("axb.onnx", "a+b.onnx.data"),
            ("m-00001-of-00001.safetensors", "x"),
            ("index.json", "m.bin"),
            ("m.safetensors", "config.json"),
        ):
            self.assertEqual(self.said(pushed, beside), "")

    def test_no_folder(self) -> None:
        """
        A directory that cannot be listed is not an error.
        """
        self.assertEqual(list(warnings(Path(self.mktemp()) / "m.onnx")), [])
