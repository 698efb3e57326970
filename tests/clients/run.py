"""Trials of real mail clients against a fresh `kepd demo`: run.py PROGRAMS [TRIAL ...]

PROGRAMS is the folder with kepd and kepctl. Each trial is a file `with_NAME.py` with a function `trial(house, folder)`,
which gives one line of what held, and `version()`. Ends with 0 when all held. A client that is not installed is a failure:
`make clients` installs them.
"""
import importlib
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

from house import Failed, House

TRIALS = ["imaplib", "outlook", "mbsync", "offlineimap", "neomutt"]


def main(programs, names):
    sys.dont_write_bytecode = True
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kepd-clients-"))
    house = House(programs, folder)
    failed = []
    try:
        for name in names or TRIALS:
            trial = importlib.import_module(f"with_{name}")
            own = folder / name
            own.mkdir()
            began = time.monotonic()
            try:
                said = trial.trial(house, own)
                print(f"ok    {trial.version():<32} {time.monotonic() - began:6.1f} s  {said}", flush=True)
            except Exception as why:
                failed.append(name)
                if not isinstance(why, Failed):
                    traceback.print_exc()
                print(f"FAIL  {name}: {why}", flush=True)
    finally:
        house.close()
    if failed:
        print(f"failed: {', '.join(failed)}; what they left is in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
