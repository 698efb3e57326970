//! The folder of an export of many mails: a folder each, and `index.json` when all of them are there.
//!
//! Until then `index.json.part` stands there: its first line says what is being exported, the others are those of the index.
//! So an export that broke off is gone on with, another is not mixed into it, and a finished one is never touched.

use super::folder::{into_place, unfinished};
use std::io::{BufRead as _, BufReader, BufWriter, Error, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

const INDEX: &str = "index.json";
/// Largest manifest that is read back: some hundred files of a line each.
const MANIFEST_MAX_OCTETS: u64 = 4 * 1024 * 1024;

#[derive(Debug)]
pub struct ManyFolders {
    dir: PathBuf,
}

impl ManyFolders {
    /// Begins, or begins again what broke off. `wish` is one line that says what is exported.
    pub fn begin(dir: &Path, wish: &str) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let this = Self { dir: dir.to_owned() };
        if this.index().try_exists()? {
            let say = format!("{} holds a finished export; choose a new folder", dir.display());
            return Err(Error::new(ErrorKind::AlreadyExists, say));
        }
        if this.part().try_exists()? {
            this.demand(wish)?;
        } else if this.holds_others()? {
            let say = format!("{} is not empty; choose a new folder", dir.display());
            return Err(Error::new(ErrorKind::AlreadyExists, say));
        }
        // In place of what broke off: its lines are made anew, what they speak of is passed over.
        let mut file = std::fs::File::create(this.draft())?;
        file.write_all(format!("{wish}\n").as_bytes())?;
        file.sync_all()?;
        into_place(&this.draft(), &this.part())?;
        Ok(this)
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

    /// The next step of one that was begun.
    pub fn go_on(dir: &Path, wish: &str) -> std::io::Result<Self> {
        let this = Self { dir: dir.to_owned() };
        this.demand(wish)?;
        Ok(this)
    }

    fn demand(&self, wish: &str) -> std::io::Result<()> {
        let mut said = String::new();
        let file = std::fs::File::open(self.part())?;
        BufReader::new(file.take(wish.len() as u64 + 1)).read_line(&mut said)?;
        if said.trim_end_matches('\n') == wish && said.ends_with('\n') {
            return Ok(());
        }
        let say = format!(
            "{} holds an unfinished export of something else; choose a new folder",
            self.dir.display()
        );
        Err(Error::new(ErrorKind::AlreadyExists, say))
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

    /// The manifest of a folder that is there; it has its name only when it is whole.
    pub fn manifest(&self, name: &str) -> std::io::Result<Option<Vec<u8>>> {
        let file = match std::fs::File::open(self.place(name).join("manifest.json")) {
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

    /// Lines of the index, each one JSON object without a line end inside.
    pub fn note(&self, lines: &[String]) -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.part())?;
        let mut text = lines.join("\n");
        if !lines.is_empty() {
            text.push('\n');
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    /// All mails are there: the index becomes one JSON list, a line for each.
    pub fn close(self) -> std::io::Result<()> {
        let whole = self.draft();
        let lines = BufReader::new(std::fs::File::open(self.part())?).lines().skip(1);
        let mut out = BufWriter::new(std::fs::File::create(&whole)?);
        out.write_all(b"[")?;
        for (n, line) in lines.enumerate() {
            let before = if n == 0 { "\n" } else { ",\n" };
            out.write_all(before.as_bytes())?;
            out.write_all(line?.as_bytes())?;
        }
        out.write_all(b"\n]\n")?;
        out.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        into_place(&whole, &self.index())?;
        std::fs::remove_file(self.part())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_is_gone_on_with_and_not_mixed() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let many = ManyFolders::begin(&out, "a").unwrap();
        many.note(&["{\"n\":1}".into(), "{\"n\":2}".into()]).unwrap();
        assert!(ManyFolders::begin(&out, "b").is_err() && ManyFolders::go_on(&out, "ab").is_err());
        assert!(ManyFolders::go_on(&out, "a").is_ok());
        // Begun again: the lines are made anew.
        let many = ManyFolders::begin(&out, "a").unwrap();
        many.note(&["{\"n\":1}".into()]).unwrap();
        many.note(&["{\"n\":2}".into()]).unwrap();
        many.note(&[]).unwrap();
        many.close().unwrap();
        let index = std::fs::read_to_string(out.join("index.json")).unwrap();
        assert_eq!(index, "[\n{\"n\":1},\n{\"n\":2}\n]\n");
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 1);
        assert!(ManyFolders::begin(&out, "a").is_err() && ManyFolders::go_on(&out, "a").is_err());
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
