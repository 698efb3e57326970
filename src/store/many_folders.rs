//! The folder of an export of many mails: a folder each, and `index.json` when all of them are there.
//!
//! Until then `index.json.part` stands there: its first line says what is being exported, the second which attempt it is, the others are
//! those of the index, each behind the moment it belongs to. So an export that broke off is gone on with, another is not mixed into it,
//! and a finished one is never touched. While a step is done the folder is locked; an attempt that was overtaken by a
//! later one of the same export is told so at its next step. Whoever else may write into the folder leads nothing
//! elsewhere: its two files are opened as files of this folder, never through a link.

use super::folder::{append_here, create_anew, into_place, open_here, take_away, unfinished};
use std::fs::File;
use std::io::{
    BufRead as _, BufReader, BufWriter, Error, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _,
};
use std::path::{Path, PathBuf};

const INDEX: &str = "index.json";
/// Octets of the line that counts attempts, and of two line ends.
const TURN_MAX_OCTETS: u64 = 22;
/// Largest manifest that is read back: some hundred files of a line each.
const MANIFEST_MAX_OCTETS: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub struct ManyFolders {
    dir: PathBuf,
    /// Which attempt at this export it is.
    turn: u64,
    /// Nobody else does a step while this is held.
    _lock: File,
}

impl ManyFolders {
    /// Begins, or begins again what broke off. `wish` is one line that says what is exported.
    pub fn begin(dir: &Path, wish: &str) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut this = Self::locked(dir)?;
        if this.index().try_exists()? {
            let say = format!("{} holds a finished export; choose a new folder", dir.display());
            return Err(Error::new(ErrorKind::AlreadyExists, say));
        }
        if this.part().try_exists()? {
            this.turn = this.demand(wish)? + 1;
        } else if this.holds_others()? {
            let say = format!("{} is not empty; choose a new folder", dir.display());
            return Err(Error::new(ErrorKind::AlreadyExists, say));
        }
        // In place of what broke off: its lines are made anew, what they speak of is passed over.
        let mut file = create_anew(&this.draft())?;
        file.write_all(format!("{wish}\n{}\n", this.turn).as_bytes())?;
        file.sync_all()?;
        into_place(&this.draft(), &this.part())?;
        Ok(this)
    }

    /// The next step of the attempt `turn`.
    pub fn go_on(dir: &Path, wish: &str, turn: u64) -> std::io::Result<Self> {
        let mut this = Self::locked(dir)?;
        if this.demand(wish)? != turn {
            let say = format!(
                "the same export into {} was begun anew by somebody else, who goes on with it",
                dir.display()
            );
            return Err(Error::new(ErrorKind::AlreadyExists, say));
        }
        this.turn = turn;
        Ok(this)
    }

    fn locked(dir: &Path) -> std::io::Result<Self> {
        let lock = File::open(dir)?;
        if let Err(error) = lock.try_lock() {
            let say = format!("another export is at work in {} ({error})", dir.display());
            return Err(Error::new(ErrorKind::WouldBlock, say));
        }
        Ok(Self {
            dir: dir.to_owned(),
            turn: 1,
            _lock: lock,
        })
    }

    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// Something that is not of an export.
    fn holds_others(&self) -> std::io::Result<bool> {
        for entry in std::fs::read_dir(&self.dir)? {
            if entry?.path() != self.draft() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// That it is the same export; gives which attempt is written there.
    fn demand(&self, wish: &str) -> std::io::Result<u64> {
        let (mut said, mut turn) = (String::new(), String::new());
        let mut file = BufReader::new(open_here(&self.part())?.take(wish.len() as u64 + TURN_MAX_OCTETS));
        file.read_line(&mut said)?;
        file.read_line(&mut turn)?;
        let turn = turn.strip_suffix('\n').and_then(|turn| turn.parse().ok());
        match turn {
            Some(turn) if said.strip_suffix('\n') == Some(wish) => Ok(turn),
            _ => {
                let say = format!(
                    "{} holds an unfinished export of something else; choose a new folder",
                    self.dir.display()
                );
                Err(Error::new(ErrorKind::AlreadyExists, say))
            }
        }
    }

    fn index(&self) -> PathBuf {
        self.dir.join(INDEX)
    }

    fn part(&self) -> PathBuf {
        unfinished(&self.index())
    }

    /// What is being written to become one of the two.
    fn draft(&self) -> PathBuf {
        self.dir.join("index.json.new")
    }

    /// Where a mail's folder belongs.
    pub fn place(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Takes away what a crash left beside a folder: one that was not whole yet, or one that a newer had taken the place of.
    pub fn tidy(&self, name: &str) -> std::io::Result<()> {
        take_away(&unfinished(&self.place(name)))
    }

    /// The manifest of a folder that is there; it has its name only when it is whole.
    pub fn manifest(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.place(name).join("manifest.json")) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut octets = Vec::new();
        file.take(MANIFEST_MAX_OCTETS + 1).read_to_end(&mut octets)?;
        if octets.len() as u64 > MANIFEST_MAX_OCTETS {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("{name}/manifest.json is too large"),
            ));
        }
        Ok(Some(octets))
    }

    /// Lines of the index, each one JSON object without a line end inside, with the moment it belongs to in milliseconds.
    pub fn note(&self, lines: &[(i64, String)]) -> std::io::Result<()> {
        let mut file = append_here(&self.part())?;
        let text: String = lines.iter().map(|(at, line)| format!("{at}\t{line}\n")).collect();
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// All mails are there: the index becomes one JSON list, a line for each, in order of time. In memory are the places of
    /// the lines, not the lines.
    pub fn close(self) -> std::io::Result<()> {
        let whole = self.draft();
        let mut lines = BufReader::new(open_here(&self.part())?);
        let mut places = places(&mut lines)?;
        places.sort_unstable();
        let mut out = BufWriter::new(create_anew(&whole)?);
        out.write_all(b"[")?;
        let mut line = Vec::new();
        for (n, (_, from, octets)) in places.into_iter().enumerate() {
            lines.seek(SeekFrom::Start(from))?;
            line.resize(octets, 0);
            lines.read_exact(&mut line)?;
            let before = if n == 0 { "\n" } else { ",\n" };
            out.write_all(before.as_bytes())?;
            out.write_all(&line)?;
        }
        out.write_all(b"\n]\n")?;
        out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        into_place(&whole, &self.index())?;
        std::fs::remove_file(self.part())
    }
}

/// Moment, place and length of each line of the index, behind the two that say what it is.
fn places(lines: &mut BufReader<File>) -> std::io::Result<Vec<(i64, u64, usize)>> {
    let (mut places, mut at, mut n, mut line) = (Vec::new(), 0u64, 0usize, String::new());
    loop {
        line.clear();
        let octets = lines.read_line(&mut line)?;
        if octets == 0 {
            return Ok(places);
        }
        if n >= 2 {
            let torn = || {
                Error::new(
                    ErrorKind::InvalidData,
                    "a line of the index is torn; begin the export again",
                )
            };
            let (moment, rest) = line.trim_end_matches('\n').split_once('\t').ok_or_else(torn)?;
            let before = moment.len() as u64 + 1;
            places.push((moment.parse().map_err(|_| torn())?, at + before, rest.len()));
        }
        n += 1;
        at += octets as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: i64) -> (i64, String) {
        (at, format!("{{\"at\":{at}}}"))
    }

    #[test]
    fn an_export_is_gone_on_with_and_not_mixed() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let many = ManyFolders::begin(&out, "a").unwrap();
        many.note(&[line(1), line(2)]).unwrap();
        let turn = many.turn();
        // While it is at work nobody else is, not even with the same.
        let busy = ManyFolders::begin(&out, "a").unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::WouldBlock);
        drop(many);
        assert!(ManyFolders::begin(&out, "b").is_err() && ManyFolders::go_on(&out, "ab", turn).is_err());
        assert!(ManyFolders::go_on(&out, "a", turn).is_ok());
        // Begun again: the lines are made anew, in order of time, and the earlier attempt does not go on.
        let many = ManyFolders::begin(&out, "a").unwrap();
        many.note(&[line(7), line(-3)]).unwrap();
        many.note(&[line(5)]).unwrap();
        many.note(&[]).unwrap();
        let later = many.turn();
        drop(many);
        let overtaken = ManyFolders::go_on(&out, "a", turn).unwrap_err();
        assert!(overtaken.to_string().contains("begun anew"), "{overtaken}");
        ManyFolders::go_on(&out, "a", later).unwrap().close().unwrap();
        let index = std::fs::read_to_string(out.join("index.json")).unwrap();
        assert_eq!(index, "[\n{\"at\":-3},\n{\"at\":5},\n{\"at\":7}\n]\n");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
        assert!(ManyFolders::begin(&out, "a").is_err() && ManyFolders::go_on(&out, "a", later).is_err());
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (out, others) = (dir.path().join("out"), dir.path().join("others"));
        std::fs::create_dir(&out).unwrap();
        std::fs::write(&others, "precious").unwrap();
        let lay = |name: &str| {
            let _ = std::fs::remove_file(out.join(name));
            std::os::unix::fs::symlink(&others, out.join(name)).unwrap();
        };
        lay("index.json.new");
        let many = ManyFolders::begin(&out, "a").unwrap();
        many.note(&[line(1)]).unwrap();
        lay("index.json.new");
        many.close().unwrap();
        assert_eq!(std::fs::read_to_string(&others).unwrap(), "precious");
        let index = std::fs::symlink_metadata(out.join("index.json")).unwrap();
        assert!(index.is_file(), "it is a file of its own");
        // Nor are lines appended elsewhere, even where the target says that it is this export.
        std::fs::remove_file(out.join("index.json")).unwrap();
        let many = ManyFolders::begin(&out, "a").unwrap();
        std::fs::write(&others, "a\n1\n").unwrap();
        lay("index.json.part");
        assert!(many.note(&[line(1)]).is_err());
        drop(many);
        assert!(ManyFolders::go_on(&out, "a", 1).is_err());
        assert_eq!(std::fs::read_to_string(&others).unwrap(), "a\n1\n");
    }

    #[test]
    fn what_a_crash_left_beside_a_folder_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let many = ManyFolders::begin(dir.path(), "a").unwrap();
        many.tidy("m").unwrap();
        let (left, kept) = (dir.path().join("m.part"), dir.path().join("m"));
        for folder in [&left, &kept] {
            std::fs::create_dir(folder).unwrap();
            std::fs::write(folder.join("manifest.json"), "x").unwrap();
        }
        many.tidy("m").unwrap();
        assert!(!left.exists() && kept.join("manifest.json").exists());
        // A link is taken away, and not what it leads to.
        std::os::unix::fs::symlink(&kept, &left).unwrap();
        many.tidy("m").unwrap();
        assert!(std::fs::symlink_metadata(&left).is_err() && kept.join("manifest.json").exists());
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine"), "x").unwrap();
        std::fs::write(dir.path().join("index.json.new"), "torn").unwrap();
        assert!(ManyFolders::begin(dir.path(), "a").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        // What our own crash leaves is not somebody's.
        std::fs::remove_file(dir.path().join("mine")).unwrap();
        assert!(ManyFolders::begin(dir.path(), "a").is_ok());
    }
}
