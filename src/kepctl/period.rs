//! The export of a period: the daemon does it in steps, and this asks for one after the other and tells how far it is.

use super::client;
use crate::address::LoginName;
use crate::control::protocol::{ExportMark, MailExport, MailWord, Record, Reply, Word};
use std::path::Path;

/// All steps; the answer sums them up. Where it breaks off, the same command goes on with it.
pub(super) fn export(socket: &Path, by: Option<&LoginName>, mut wish: MailExport) -> Result<Reply, String> {
    let [mut written, mut remade, mut there, mut faults] = [0; 4];
    loop {
        let word = Word::Mail(MailWord::Export(wish.clone()));
        let step = match client::ask(socket, by.cloned(), word)? {
            Reply::One(step) => step,
            other => return Ok(other),
        };
        written += number(&step, "written");
        remade += number(&step, "remade");
        there += number(&step, "there");
        faults += number(&step, "faults");
        let next: Option<ExportMark> = match step.value("next") {
            Some(next) => serde_json::from_value(next.clone()).map_err(|e| e.to_string())?,
            None => None,
        };
        if next.is_none() {
            let folder = wish.out.display();
            return Ok(Reply::One(
                Record::new()
                    .text("folder", folder)
                    .text("index", wish.out.join("index.json").display())
                    .with("written", written)
                    .with("remade", remade)
                    .with("there", there)
                    .with("faults", faults),
            ));
        }
        if next == wish.after {
            return Err("the daemon does not go on with the export; see its log".into());
        }
        eprintln!("kepctl: {written} written, {there} were there, {faults} could not be exported; going on");
        wish.after = next;
    }
}

fn number(step: &Record, name: &str) -> u64 {
    step.value(name).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// Whether mails are missing in what was exported; the index says which, and why.
pub(super) fn has_faults(done: &Reply) -> bool {
    matches!(done, Reply::One(sum) if number(sum, "faults") > 0)
}
