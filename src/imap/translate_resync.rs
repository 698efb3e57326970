//! The parameters of CONDSTORE and QRESYNC (RFC 7162 7) as imap-codec reads them, to our own.

use super::command::{Qresync, SelectWith};
use super::grammar::Malformed;
use super::set::{Bound, SequenceSet};
use super::translate::set;
use imap_codec::imap_types::command::SelectParameter;
use imap_codec::imap_types::sequence::SequenceSet as CodecSet;

const TWICE: Malformed = Malformed("the same parameter stands there twice");

/// mod-sequence-value is of 63 bits (RFC 7162 7).
fn modseq(number: u64) -> Result<u64, Malformed> {
    match number <= i64::MAX as u64 {
        true => Ok(number),
        false => Err(Malformed("a mod-sequence is below 2^63")),
    }
}

pub(super) fn select_with(parameters: &[SelectParameter]) -> Result<SelectWith, Malformed> {
    let mut with = SelectWith::default();
    for parameter in parameters {
        match parameter {
            SelectParameter::CondStore if with.condstore => return Err(TWICE),
            SelectParameter::CondStore => with.condstore = true,
            SelectParameter::QResync { .. } if with.qresync.is_some() => return Err(TWICE),
            SelectParameter::QResync {
                uid_validity,
                mod_sequence_value,
                known_uids,
                seq_match_data,
            } => {
                let matched = seq_match_data.as_ref();
                with.qresync = Some(Qresync {
                    uid_validity: uid_validity.get(),
                    modseq: modseq(mod_sequence_value.get())?,
                    known_uids: known_uids.as_ref().map(plain).transpose()?,
                    matched: matched
                        .map(|(numbers, uids)| Ok((plain(numbers)?, plain(uids)?)))
                        .transpose()?,
                });
            }
        }
    }
    Ok(with)
}

/// RFC 7162 7: `*` is not allowed in what a client knows.
fn plain(codec: &CodecSet) -> Result<SequenceSet, Malformed> {
    let set = set(codec);
    match set.0.iter().any(|(a, b)| [*a, *b].contains(&Bound::Last)) {
        true => Err(Malformed("what is known has no *")),
        false => Ok(set),
    }
}
