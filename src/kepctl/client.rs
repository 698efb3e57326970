//! One question to the daemon, one answer.

use crate::address::LoginName;
use crate::control::protocol::{self, REPLY_MAX_OCTETS, REQUEST_MAX_OCTETS, Reply, Request, VERSION, Word};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An export of a large mail may take a while.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Asks; the error is a sentence for the user.
pub fn ask(socket: &Path, by: Option<LoginName>, word: Word) -> Result<Reply, String> {
    let name = socket.display();
    let stream = UnixStream::connect(socket).map_err(|e| {
        format!("the daemon cannot be reached at {name} ({e}); is it running, and may you use it?")
    })?;
    let broken = |e: std::io::Error| format!("the conversation at {name} broke off: {e}");
    stream.set_read_timeout(Some(ANSWER_MAX)).map_err(broken)?;
    stream.set_write_timeout(Some(ANSWER_MAX)).map_err(broken)?;
    let request = Request {
        version: VERSION,
        by,
        word,
    };
    let octets = zeroize::Zeroizing::new(protocol::line(&request).map_err(|e| e.to_string())?);
    if octets.len() > REQUEST_MAX_OCTETS {
        return Err(format!("the request has more than {REQUEST_MAX_OCTETS} octets"));
    }
    (&stream).write_all(&octets).map_err(broken)?;
    let mut line = Vec::new();
    let mut bounded = BufReader::new(&stream).take(REPLY_MAX_OCTETS as u64);
    bounded.read_until(b'\n', &mut line).map_err(broken)?;
    if !line.ends_with(b"\n") {
        return Err(format!(
            "the daemon at {name} hung up without a whole answer; see its log"
        ));
    }
    protocol::read(&line).map_err(|e| e.to_string())
}
