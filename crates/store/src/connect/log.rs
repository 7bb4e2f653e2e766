//! The length of SQLite's write-ahead log, whose file is written over from its beginning. (Its index would say it at once,
//! but the locks of the database lie on that file, and closing a file that one has opened drops one's locks on it.)

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Length of the header of the log and of that of a frame (SQLite, "Database File Format", sections 4.1 and 4.2).
const HEADER: u64 = 32;
const FRAME: u64 = 24;

/// What is known of the log, so that the end is looked for where it was.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// Stands in the header and in each frame since the log last began anew.
    salt: [u8; 8],
    frames: u64,
}

impl Log {
    pub(super) fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push("-wal");
        Self {
            path: name.into(),
            salt: [0; 8],
            frames: 0,
        }
    }

    /// Bytes from its beginning to the last frame that was written since it began anew; 0 where there is none.
    pub(crate) fn bytes(&mut self) -> u64 {
        self.measure().unwrap_or_default()
    }

    fn measure(&mut self) -> io::Result<u64> {
        let file = File::open(&self.path)?;
        let mut header = [0; HEADER as usize];
        file.read_exact_at(&mut header, 0)?;
        let page: [u8; 4] = part(&header, 8);
        let page = u32::from_be_bytes(page);
        let salt = part(&header, 16);
        let frame = FRAME + u64::from(page);
        if salt != self.salt {
            (self.salt, self.frames) = (salt, 0);
        }
        let is_of_now = |number: u64| {
            let mut found = [0; 8];
            // Behind the number of its page and the size of the database.
            let read = file.read_exact_at(&mut found, HEADER + number * frame + 8);
            read.is_ok() && found == salt
        };
        // What is of now comes before all that is not: doubled steps find a frame behind the end, halves the end.
        let (mut inside, mut step) = (self.frames, 1);
        while is_of_now(inside + step - 1) {
            inside += step;
            step *= 2;
        }
        let mut outside = inside + step;
        while outside - inside > 1 {
            let middle = inside.midpoint(outside);
            if is_of_now(middle - 1) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        self.frames = inside;
        Ok(if inside == 0 {
            0
        } else {
            HEADER + inside * frame
        })
    }
}

/// The bytes of the header from `at` on.
fn part<const LENGTH: usize>(header: &[u8; HEADER as usize], at: usize) -> [u8; LENGTH] {
    std::array::from_fn(|index| header[at + index])
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u32 = 512;

    /// A log of `now` frames of its present run over the rest of a longer one.
    fn write(path: &Path, run: u8, now: usize, all: usize) {
        let mut bytes = vec![0; HEADER as usize];
        bytes[8..12].copy_from_slice(&PAGE.to_be_bytes());
        bytes[16..24].copy_from_slice(&[run; 8]);
        for number in 0..all {
            let mut frame = vec![0; FRAME as usize + PAGE as usize];
            let salt = if number < now { run } else { run - 1 };
            frame[8..16].copy_from_slice(&[salt; 8]);
            bytes.extend(frame);
        }
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn the_end_is_found_however_far_the_log_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let mut log = Log::beside(&database);
        assert_eq!(log.bytes(), 0, "no file");
        let path = folder.path().join("x.db-wal");
        for (run, now, all) in [(1, 1, 1), (1, 2, 2), (1, 77, 77), (1, 1000, 1000)] {
            write(&path, run, now, all);
            assert_eq!(log.bytes(), 32 + now as u64 * 536, "{now} of {all}");
        }
        for (now, all) in [
            (3, 1000),
            (4, 1000),
            (999, 1000),
            (1000, 1000),
            (1001, 1001),
        ] {
            write(&path, 2, now, all);
            assert_eq!(log.bytes(), 32 + now as u64 * 536, "{now} of {all}");
        }
        write(&path, 3, 0, 1000);
        assert_eq!(log.bytes(), 0, "a header alone");
    }
}
