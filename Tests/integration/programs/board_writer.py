"""A trainer that writes event files of TensorBoard with tensorboardX and knows nothing of Anneal.

It is started again in the midst of its run, dies while it writes a record, and has a disk that spoils two records.
"""

import pathlib
import shutil
import tempfile

from tensorboardX import SummaryWriter

#: Bytes before the data of a record: its length and the length's checksum.
HEADER_BYTES = 12
#: Bytes of a record around its data.
FRAME_BYTES = 16


def records(data):
    """The records of an event file, as where each begins and ends."""
    place, found = 0, []
    while place < len(data):
        end = place + FRAME_BYTES + int.from_bytes(data[place : place + 8], "little")
        found.append((place, end))
        place = end
    return found


def written(folder, tag, steps):
    """The bytes of an event file with `steps` scalars, made apart from the run."""
    with SummaryWriter(folder) as writer:
        for step in range(1, steps + 1):
            writer.add_scalar(tag, step / 2, step)
    return bytearray(next(pathlib.Path(folder).glob("*tfevents*")).read_bytes())


def spoiled(folder):
    """Twenty records, of which the data of the fifth and the length of the tenth are damaged."""
    data = written(folder, "spoiled/loss", 20)
    # The first record says which version of the format follows.
    places = records(data)[1:]
    data[places[4][0] + HEADER_BYTES + 3] ^= 0xFF
    data[places[9][0] + 1] ^= 0xFF
    return data


def torn(folder):
    """Ten records, the last of which ends in its midst."""
    data = written(folder, "torn/loss", 10)
    return data[: records(data)[-1][0] + HEADER_BYTES + 5]


def main():
    """Writes what a run of two starts writes, and the two broken files."""
    with SummaryWriter("runs/first/board", filename_suffix=".1") as writer:
        for step in range(1, 101):
            writer.add_scalar("train/loss", 2 / step, step)
        writer.add_scalar("a/b/c", float("nan"), 7)
        writer.add_text("note", "no scalar")
    with SummaryWriter("runs/first/board", filename_suffix=".2") as writer:
        for step in range(101, 151):
            writer.add_scalar("train/loss", 2 / step, step)
    # As Keras does it: one tag in a folder for each split.
    for split, value in (("train", 1.0), ("validation", 2.0)):
        with SummaryWriter(f"keras/{split}") as writer:
            writer.add_scalar("epoch_loss", value, 1)
    for make in (spoiled, torn):
        with tempfile.TemporaryDirectory() as folder:
            name = f"events.out.tfevents.{make.__name__}"
            (pathlib.Path(folder) / name).write_bytes(make(folder))
            pathlib.Path("runs", make.__name__).mkdir(parents=True)
            shutil.copy(pathlib.Path(folder) / name, pathlib.Path("runs", make.__name__, name))


main()
