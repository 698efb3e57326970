//! What the index says about the texts of a SEARCH, before any message is looked at.
//!
//! A text key gets its verdict where the index has one. A key about one field is refuted when its text is nowhere in the
//! header; which field it is in, it does not know. Header and body are asked apart, as the body is not always searched
//! (`verdict`). Everything else is decided as without an index (`query`).

use crate::domain::needle::{Letters, Wanted};
use crate::id::ItemId;
use crate::imap::search::{Charset, SearchKey, TextIn};
use crate::imap::set::UidRanges;
use crate::service::account::Principal;
use crate::service::mailbox::Mailboxes;
use crate::service::searched::{LookedUp, Within};

/// Questions to the index about one SEARCH; people look for one or two texts. Others are looked for in the messages.
const QUESTIONS_MAX: usize = 64;

/// A text of a key: made ready, with the numbers of the questions the index was asked about it.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub wanted: Wanted,
    header: Option<usize>,
    body: Option<usize>,
}

/// A key with its texts made ready.
pub(super) type Ready = SearchKey<UidRanges, Text>;

/// The answers of the index.
pub(super) struct Narrowing {
    /// There was something to ask.
    asked: bool,
    /// `None` without an index.
    answer: Option<LookedUp>,
}

/// The one place that says what a charset means for letters: who writes UTF-8 can write each of the four `i`, who writes
/// US-ASCII has two of them for all.
fn letters(charset: Charset) -> Letters {
    match charset {
        Charset::UsAscii => Letters::AnyI,
        Charset::Utf8 => Letters::Turkish,
    }
}

impl Narrowing {
    pub async fn of(
        mailboxes: &Mailboxes,
        by: &Principal,
        charset: Charset,
        key: SearchKey<UidRanges>,
    ) -> (Ready, Self) {
        let mut questions: Vec<(Within, Wanted)> = Vec::new();
        let mut number = |within: Within, wanted: &Wanted| {
            let asked = questions
                .iter()
                .position(|(w, text)| *w == within && text == wanted);
            // An empty text stands everywhere, or asks for a field.
            if asked.is_some() || wanted.is_empty() || questions.len() >= QUESTIONS_MAX {
                return asked;
            }
            questions.push((within, wanted.clone()));
            Some(questions.len() - 1)
        };
        let ready = key.map_texts(&mut |place, text: String| {
            let wanted = Wanted::new(&text, letters(charset));
            let in_header = place != TextIn::Body;
            let in_body = place != TextIn::Header;
            Text {
                header: in_header.then(|| number(Within::Header, &wanted)).flatten(),
                body: in_body.then(|| number(Within::Body, &wanted)).flatten(),
                wanted,
            }
        });
        let asked = !questions.is_empty();
        let answer = mailboxes.look_up(by, questions).await;
        (ready, Self { asked, answer })
    }

    /// Whether an index was wanted that knows the item, and there is none.
    pub fn lacks(&self, item: ItemId) -> bool {
        let known = self.answer.as_ref().is_some_and(|answer| answer.covers(item));
        self.asked && !known
    }

    /// Whether the text stands somewhere in the header; `None`: the index does not decide it.
    pub fn in_header(&self, item: ItemId, text: &Text) -> Option<bool> {
        self.answer.as_ref()?.verdict(item, text.header?)
    }

    /// Whether it stands in the body.
    pub fn in_body(&self, item: ItemId, text: &Text) -> Option<bool> {
        self.answer.as_ref()?.verdict(item, text.body?)
    }
}
