"""A small Hindi text model for a gateway: trained here, 4-bit GGUF, run by llama.cpp, with what it takes of a Pi.

    python examples/hindi_gateway.py [--text FOLDER] [--out DIR] [--steps N]

FOLDER holds train.txt, test.txt (stories parted by an empty line) and ATTRIBUTION.csv. Default: Hindi stories of
Pratham Books (CC BY 4.0, https://storyweaver.org.in) in ../shared/data/text/hindi_stories beside the project. Needs
the extras `llm` and `llama`, and a few minutes of one core; a run that is stopped goes on.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from ratti.llm.bench import bench
from ratti.llm.convert import convert
from ratti.llm.fit import fit
from ratti.llm.llamacpp import Engine, Flags
from ratti.llm.quantize import quantize
from ratti.llm.run import Chat, Sampling
from ratti.llm.train import LanguageConfig, train
from ratti.report import llm as tables

STORIES = Path(__file__).parents[2] / "shared" / "data" / "text" / "hindi_stories"
FILES = ("train.txt", "test.txt", "ATTRIBUTION.csv")
GATEWAYS, CONTEXT, PROMPT = ("pi-zero-2w", "pi-4"), 128, "एक दिन"
CARD = """# hindi_gateway: a language model of {millions:.1f} M parameters for Hindi

Continues a Hindi sentence on a gateway, offline: {file}, {megabytes:.1f} MB, for llama.cpp.

## Limits
- It has read {tokens:,} tokens of children's stories, about a short book: grammar holds for a few words, sense does
  not. It shows the way from a text to a gateway; it answers nothing, and what it says is not true.
- It may repeat the stories word for word; their authors are in ATTRIBUTION.csv, which travels with it (CC BY 4.0).

## Measured on this computer (llama.cpp, one thread), on stories that no step has seen
```text
{bench}
```
## Predicted for gateways; nothing ran there. For so small a model speeds are an upper bound: what a token costs beside
its weights is not in them.
```text
{fits}
```
## What it says (temperature 0.8, seed 0)
{prompt}{answer}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", type=Path, default=STORIES)
    parser.add_argument("--out", type=Path, default=Path("runs/hindi_gateway"))
    parser.add_argument("--steps", type=int, default=400)
    a = parser.parse_args()
    missing = [name for name in FILES if not (a.text / name).is_file()]
    if missing:
        sys.exit(f"hindi_gateway: no {missing[0]} in '{a.text}': name a folder with {', '.join(FILES)} by --text")
    a.out.mkdir(parents=True, exist_ok=True)
    config = LanguageConfig(context=CONTEXT, epochs=max(1, a.steps // 25), steps_per_epoch=min(25, a.steps))
    trained = train(a.text / "train.txt", config, a.out / "model")
    whole = convert(a.out / "model", a.out / "hindi-f32.gguf", "f32", progress=False)
    small = quantize(whole.path, "q4_k_m", a.out / "hindi-q4_k_m.gguf", progress=False)
    flags = Flags(context=CONTEXT, threads=1)
    measured = bench([whole.path, small.path], text=a.text / "test.txt", flags=flags, window=CONTEXT)
    fits = "\n\n".join(tables.fit(fit(str(small.path), gateway, CONTEXT)).rstrip() for gateway in GATEWAYS)
    with Engine(small.path, flags) as engine:
        answer = "".join(Chat(engine, Sampling(tokens=60)).say(PROMPT))
    shutil.copy(a.text / "ATTRIBUTION.csv", a.out)
    card = CARD.format(millions=trained.parameters / 1e6, file=small.path.name, megabytes=small.bytes / 1e6,
                       tokens=trained.train_tokens, bench=tables.bench(measured).rstrip(), fits=fits,
                       prompt=PROMPT, answer=answer)
    (a.out / "model_card.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    main()
