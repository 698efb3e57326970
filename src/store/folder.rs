//! A folder of new files handed to somebody outside: exports. Nothing in it is ever overwritten.

use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

/// A folder that is being filled.
#[derive(Debug)]
pub struct NewFolder {
    dir: PathBuf,
}

/// A file that is being written.
#[derive(Debug)]
pub struct NewFile {
    file: std::fs::File,
}

impl NewFolder {
    /// Makes the folder. It must not exist, or be empty: an older export is not mixed with a new one.
    pub fn create(dir: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        if std::fs::read_dir(dir)?.next().is_some() {
            let say = format!("{} is not empty; choose a new folder", dir.display());
            return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, say));
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// Starts a file; `name` may have folders in it, but not lead out of this one.
    pub fn file(&self, name: &str) -> std::io::Result<NewFile> {
        let inside = Path::new(name)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        if !inside {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "a file name that leads elsewhere",
            ));
        }
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(NewFile {
            file: std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path)?,
        })
    }
}

impl NewFile {
    pub fn write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.file.write_all(octets)
    }

    pub fn finish(self) -> std::io::Result<()> {
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_inside_and_are_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let folder = NewFolder::create(&dir.path().join("out")).unwrap();
        let mut file = folder.file("a/b.txt").unwrap();
        file.write(b"x").unwrap();
        file.finish().unwrap();
        assert!(folder.file("a/b.txt").is_err());
        assert!(folder.file("../c").is_err());
        assert!(folder.file("/etc/c").is_err());
        assert!(NewFolder::create(&dir.path().join("out")).is_err());
    }
}
