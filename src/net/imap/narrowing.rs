//! What the index says about the texts of a SEARCH, before any message is looked at.
//!
//! A text key gets its verdict where the index has one. A key about one field is refuted when its text is nowhere in the
//! header; which field it is in, it does not know. Everything else is decided as without an index (`query`).

use crate::id::ItemId;
use crate::imap::search::SearchKey;
use crate::imap::set::UidRanges;
use crate::service::account::Principal;
use crate::service::mailbox::Mailboxes;
use crate::service::searched::{LookedUp, Within};

type Key = SearchKey<UidRanges>;

/// Texts of one SEARCH that the index is asked about; people write one or two. Others are looked for in the messages.
const TEXTS_MAX: usize = 32;

pub(super) struct Narrowing {
    texts: Vec<(Within, String)>,
    answer: LookedUp,
}

impl Narrowing {
    /// `None`: there is no text to ask about, or no index. The texts of the key are folded.
    pub async fn of(mailboxes: &Mailboxes, by: &Principal, key: &Key) -> Option<Self> {
        let mut texts = Vec::new();
        gather(key, &mut texts);
        let answer = mailboxes.look_up(by, texts.clone()).await?;
        Some(Self { texts, answer })
    }

    /// `None`: the index does not decide it.
    pub fn verdict(&self, item: ItemId, key: &Key) -> Option<bool> {
        let (within, text) = asked(key)?;
        let n = self.texts.iter().position(|(w, t)| *w == within && t == text)?;
        let verdict = self.answer.verdict(item, n);
        verdict.filter(|found| !found || within != Within::Header)
    }
}

/// What a key asks the index. An empty text stands everywhere, or asks for a field.
fn asked(key: &Key) -> Option<(Within, &str)> {
    let (within, text) = match key {
        SearchKey::Header(_, text) => (Within::Header, text),
        SearchKey::Body(text) => (Within::Body, text),
        SearchKey::Text(text) => (Within::Anywhere, text),
        _ => return None,
    };
    (!text.is_empty()).then_some((within, text))
}

fn gather(key: &Key, texts: &mut Vec<(Within, String)>) {
    match key {
        SearchKey::And(keys) => keys.iter().for_each(|key| gather(key, texts)),
        SearchKey::Or(a, b) => [a, b].into_iter().for_each(|key| gather(key, texts)),
        SearchKey::Not(key) => gather(key, texts),
        key => {
            let Some((within, text)) = asked(key).filter(|_| texts.len() < TEXTS_MAX) else {
                return;
            };
            if !texts.iter().any(|(w, t)| *w == within && t == text) {
                texts.push((within, text.to_owned()));
            }
        }
    }
}
