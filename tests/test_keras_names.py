"""Which of Keras's names fastnn has; what stays out stands here, with the reason."""

import importlib
import json
import os
from pathlib import Path

import pytest

from tests.data.make_keras_names import MODULES, listing

RECORDED = json.loads((Path(__file__).parent / "data" / "keras_names.json").read_text())

#: module -> reason -> names that are not to be had
OUT = {
    "callbacks": {
        "other libraries' storage and web servers": "OrbaxCheckpoint RemoteMonitor",
    },
    "initializers": {
        "spectra of sound": "STFT STFTInitializer stft",
    },
    "layers": {
        "layers of other frameworks": "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
        "text and tables: scikit-learn and tokenizers serve": (
            "CategoryEncoding Discretization HashedCrossing Hashing IntegerLookup StringLookup TextVectorization"),
        "spectra of sound": "MelSpectrogram STFTSpectrogram",
        "three dimensions of space": (
            "AdaptiveAveragePooling3D AdaptiveMaxPooling3D AveragePooling3D AvgPool3D Conv3D Conv3DTranspose "
            "ConvLSTM3D Convolution3D Convolution3DTranspose Cropping3D GlobalAveragePooling3D GlobalAvgPool3D "
            "GlobalMaxPool3D GlobalMaxPooling3D MaxPool3D MaxPooling3D UpSampling3D ZeroPadding3D"),
        "convolutions within recurrences": "ConvLSTM1D ConvLSTM2D",
        "colours, boxes and pipelines of augmentation that images of one channel or few do not need": (
            "AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization Equalization MaxNumBoundingBoxes "
            "Pipeline RandAugment RandomColorDegeneration RandomColorJitter RandomElasticTransform RandomGaussianBlur "
            "RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomSaturation "
            "RandomSharpness RandomShear Solarization"),
        "shapes are checked by the layers themselves": "InputSpec",
    },
    "losses": {
        "sequences that are not aligned": "CTC ctc",
        "a mean over rows of a batch with a loss above 0, which no weights can be applied to": "Circle circle",
    },
    "optimizers": {
        "half precision": "LossScaleOptimizer",
        "several optimizers in one: a step of one's own has as many as it likes": "MultiOptimizer OptimizerMap",
        "needs weights for training other than those for prediction": "ScheduleFreeAdamW",
    },
}  # fmt: skip
#: images and sequences: to come
ELSEWHERE = """
AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveMaxPooling1D AdaptiveMaxPooling2D CenterCrop Convolution1D
Convolution1DTranspose Convolution2D Convolution2DTranspose CutMix EinsumDense MixUp RandomBrightness RandomContrast
RandomCrop RandomErasing RandomFlip RandomRotation RandomTranslation RandomZoom Resizing ReversibleEmbedding
SeparableConvolution1D SeparableConvolution2D
""".split()


def left_out(module):
    names = {name for line in OUT.get(module, {}).values() for name in line.split()}
    return names | set(ELSEWHERE if module == "layers" else ())


@pytest.mark.parametrize("module", MODULES)
def test_every_name_is_there_or_left_out_for_a_reason(module):
    ours = importlib.import_module(f"fastnn.{module}")
    assert [name for name in RECORDED[module] if not hasattr(ours, name) and name not in left_out(module)] == []
    strange = left_out(module) - set(RECORDED[module])
    assert not strange, f"Keras has no {strange}"


def test_the_record_is_kerass_own_listing():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    if keras.__version__ != RECORDED["version"]:
        pytest.skip(f"the record is of Keras {RECORDED['version']}")
    assert listing() == {name: RECORDED[name] for name in MODULES}
