"""Language models on phones and gateways.

What is where: `folder.py` a Hugging Face folder, `shape.py` the sizes of a model, `architectures/` one family a file,
`vocabulary.py` tokenizers, `gguf/` the file format, `quants/` one block type a file, `convert.py`, `quantize.py`,
`importance.py`, `exl2/` the format of GPU gateways, `fit.py` memory and speed on a device, `bench.py` quality and speed
here, `model.py`, `tokenizer.py`, `train.py` small models made here, `run.py` a chat.

GGUF's block layouts and the objectives of its quantizers are ggml's (MIT, https://github.com/ggml-org/ggml); the code
here is ours.
"""
