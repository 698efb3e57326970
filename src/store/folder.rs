//! A folder of new files handed to somebody outside: exports. It stands under its name only when it is whole and on disk;
//! nothing in it is ever overwritten, and what is written goes through no link that somebody laid there.
//!
//! Where one takes the place of an older one, a crash may leave that one beside it, under the ending of what is not whole:
//! the next attempt takes it away (`ManyFolders::tidy`), also where it finds nothing to make anew.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

/// Ending of a folder or file that is not whole yet. One that a crash left is taken away by the next attempt.
const UNFINISHED: &str = ".part";

/// A folder that is being filled. Dropped without [`NewFolder::finish`], it goes away.
#[derive(Debug)]
pub struct NewFolder {
    dir: PathBuf,
    /// Where it is filled.
    part: PathBuf,
    files: Vec<PathBuf>,
    /// One that is there may be replaced.
    replaces: bool,
    finished: bool,
}

/// A file that is being written.
#[derive(Debug)]
pub struct NewFile {
    file: File,
}

/// Beside the name, with the ending of what is not whole.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    name.into()
}

/// Takes away a file, a link or a whole folder, if there is one. A link is not followed.
pub(super) fn take_away(path: &Path) -> std::io::Result<()> {
    let gone = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    gone.or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

/// A new file in place of what an earlier attempt left there.
pub(super) fn create_anew(path: &Path) -> std::io::Result<File> {
    take_away(path)?;
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// A file of ours to read from; a link in its place is refused.
pub(super) fn open_here(path: &Path) -> std::io::Result<File> {
    not_linked(OpenOptions::new().read(true)).open(path)
}

/// A file of ours to append to; a link in its place is refused.
pub(super) fn append_here(path: &Path) -> std::io::Result<File> {
    not_linked(OpenOptions::new().append(true)).open(path)
}

fn not_linked(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
}

impl NewFolder {
    /// Begins the folder. It must not exist, or be empty: an older export is not mixed with a new one.
    pub fn create(dir: &Path) -> std::io::Result<Self> {
        if dir.try_exists()? && std::fs::read_dir(dir)?.next().is_some() {
            let say = format!("{} is not empty; choose a new folder", dir.display());
            return Err(std::io::Error::new(std::io::ErrorKind::AlreadyExists, say));
        }
        Self::begin(dir, false)
    }

    /// Begins a folder that takes the place of the one that is there, when it is whole; until then that one stands.
    pub fn replacing(dir: &Path) -> std::io::Result<Self> {
        Self::begin(dir, true)
    }

    fn begin(dir: &Path, replaces: bool) -> std::io::Result<Self> {
        let part = unfinished(dir);
        take_away(&part)?;
        if let Some(parent) = part.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // It must be new: a folder, or a link to one, that was laid there meanwhile is somebody else's.
        std::fs::create_dir(&part)?;
        Ok(Self {
            dir: dir.to_owned(),
            part,
            files: Vec::new(),
            replaces,
            finished: false,
        })
    }

    /// Starts a file; `name` may have folders in it, but not lead out of this one.
    pub fn file(&mut self, name: &str) -> std::io::Result<NewFile> {
        let inside = Path::new(name)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        if !inside {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                "a file name that leads elsewhere",
            ));
        }
        let path = self.part.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let file = NewFile::create(&path)?;
        self.files.push(path);
        Ok(file)
    }

    /// Everything to the disk, then the name. Waits for the disk: for the blocking pool.
    pub fn finish(mut self) -> std::io::Result<()> {
        let mut folders = vec![self.part.clone()];
        for file in &self.files {
            File::open(file)?.sync_all()?;
            let folder = file.parent().map(Path::to_owned);
            folders.extend(folder.filter(|f| *f != self.part));
        }
        folders.dedup();
        for folder in &folders {
            File::open(folder)?.sync_all()?;
        }
        if self.replaces && exchange(&self.part, &self.dir)? {
            // What stands beside it now is the old one; what stays of it the next attempt takes away.
            let _ = std::fs::remove_dir_all(&self.part);
        } else {
            into_place(&self.part, &self.dir)?;
        }
        self.finished = true;
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.finished {
            // What stays is taken away by the next attempt.
            let _ = std::fs::remove_dir_all(&self.part);
        }
    }
}

impl NewFile {
    /// A file that must not exist.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let new = OpenOptions::new().write(true).create_new(true).open(path);
        Ok(Self { file: new? })
    }

    pub fn write(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.file.write_all(octets)
    }

    /// To the disk. A file of a [`NewFolder`] goes there with all others of it.
    pub fn finish(self) -> std::io::Result<()> {
        self.file.sync_all()
    }
}

/// Both names change places in one step. Where a file system cannot do that, the old one goes first, and false is given: a
/// crash there leaves a name without a folder, which whoever exports makes anew.
fn exchange(part: &Path, path: &Path) -> std::io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, part, CWD, path, RenameFlags::EXCHANGE) {
        Ok(()) => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
            Ok(true)
        }
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            std::fs::remove_dir_all(path)?;
            Ok(false)
        }
        Err(other) => Err(other.into()),
    }
}

/// Gives what is whole and synced its name.
pub(super) fn into_place(part: &Path, path: &Path) -> std::io::Result<()> {
    #[allow(clippy::disallowed_methods)]
    // synced before, its folder after
    std::fs::rename(part, path)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_inside_and_are_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut folder = NewFolder::create(&out).unwrap();
        folder.file("a/b.txt").unwrap().write(b"x").unwrap();
        assert!(folder.file("a/b.txt").is_err());
        assert!(folder.file("../c").is_err());
        assert!(folder.file("/etc/c").is_err());
        // Not there before it is whole.
        assert!(!out.exists());
        folder.finish().unwrap();
        assert_eq!(std::fs::read(out.join("a/b.txt")).unwrap(), b"x");
        assert!(NewFolder::create(&out).is_err());
        assert!(NewFile::create(&out.join("a/b.txt")).is_err());
    }

    #[test]
    fn a_folder_takes_the_place_of_an_older_one_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let write = |text: &str| {
            let mut folder = NewFolder::replacing(&out).unwrap();
            folder.file("a.txt").unwrap().write(text.as_bytes()).unwrap();
            folder
        };
        write("first").finish().unwrap();
        drop(write("given up"));
        let second = write("second");
        assert_eq!(std::fs::read(out.join("a.txt")).unwrap(), b"first");
        second.finish().unwrap();
        assert_eq!(std::fs::read(out.join("a.txt")).unwrap(), b"second");
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "the old one is gone"
        );
    }

    #[test]
    fn what_was_begun_and_left_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut folder = NewFolder::create(&out).unwrap();
        folder.file("a.txt").unwrap();
        drop(folder);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        // A crash leaves it; the next attempt begins anew.
        std::fs::create_dir(unfinished(&out)).unwrap();
        std::fs::write(unfinished(&out).join("old"), "x").unwrap();
        NewFolder::create(&out).unwrap().finish().unwrap();
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_is_taken_away_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (out, others) = (dir.path().join("out"), dir.path().join("others"));
        std::fs::create_dir(&others).unwrap();
        std::fs::write(others.join("precious"), "x").unwrap();
        for target in [others.clone(), dir.path().join("nowhere")] {
            std::os::unix::fs::symlink(&target, unfinished(&out)).unwrap();
            let mut folder = NewFolder::replacing(&out).unwrap();
            folder.file("a.txt").unwrap().write(b"x").unwrap();
            folder.finish().unwrap();
            assert!(out.join("a.txt").is_file() && !target.join("a.txt").exists());
        }
        assert!(others.join("precious").exists());
    }
}
