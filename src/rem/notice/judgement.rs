//! The words of a judgement on sealed documents: findings, headings, and the reasons in Turkish.
//!
//! Judges give their reasons as one English sentence each. Here stands what each is in Turkish, as a pattern with holes
//! (`{}`); what a hole holds is looked up in its turn, for reasons nest. A reason without a pattern stays as it is: a
//! court is served better by an English sentence than by none. `tests/paperwork.rs` holds the table against the judges.

mod patterns;
mod persons;
mod revocation;

use super::Both;
use crate::domain::evidence::{Event, EvidenceKind};
use patterns::PATTERNS;
use persons::PATTERNS as OF_PERSONS;
use revocation::PATTERNS as OF_REVOCATION;

/// Deepest nesting of one reason in another.
const DEPTH_MAX: usize = 4;

/// Language of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Turkish,
    English,
}

impl Both {
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Turkish => &self.tr,
            Language::English => &self.en,
        }
    }
}

macro_rules! words {
    ($($name:ident $tr:literal $en:literal;)*) => {
        /// A heading or a fixed word of a report.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Word { $($name,)* }

        impl Word {
            pub fn of(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$name, Language::Turkish) => $tr, (Self::$name, Language::English) => $en,)*
                }
            }
        }
    };
}

words! {
    Schema "şema" "schema";
    Signature "imza" "signature";
    Trust "güven" "trust";
    Timestamp "zaman damgası" "timestamp";
    Manifest "döküm" "manifest";
    Ok "uygun" "ok";
    Failed "geçersiz" "failed";
    Unknown "belirsiz" "unknown";
    Proves "Kanıtladığı" "What it proves";
    Claims "Kanıtlanmış sayılmadan, söylediği" "What it claims, without being proof";
    What "olay" "event";
    When "olay zamanı" "time of the event";
    Stamped "damga zamanı" "stamped at";
    Level "imza düzeyi" "level of the signature";
    SealedBy "mühürleyen" "sealed by";
    Issuer "düzenleyen" "issued by";
    Sender "gönderici" "sender";
    PersonSignature "kişinin imzası" "signature of a person";
    Recipient "alıcı" "recipient";
    Recipients "alıcılar" "recipients";
    Subject "konu" "subject";
    Identifier "delil no" "evidence id";
    MessageId "ileti no" "message id";
    Reason "neden" "reason";
    Digest "özgün iletinin SHA-256 özeti" "SHA-256 of the original";
    Original "özgün ileti" "original";
    OriginalMatches "verilen ileti budur" "the message given is the one";
    OriginalDiffers "verilen ileti bu değildir" "the message given is another one";
    OriginalAbsent "verilmedi, karşılaştırılmadı" "not given, so not compared";
    OriginalNotStated "delil bir SHA-256 özeti belirtmiyor" "the evidence states no SHA-256 digest";
    Revocation "mühür sertifikasının iptal durumu" "revocation of the seal's certificate";
    StampRevocation "damga sertifikasının iptal durumu" "revocation of the time-stamp's certificate";
    Preserved "kanıt kaydı, şu tarihten beri var olduğu" "evidence record: it exists since";
    PreservedUntil "kaydın son damgasının geçerlilik sonu" "the record's last time-stamp holds until";
    Remark "ayrıca" "also";
    Verdict "Sonuç" "Result";
    Valid "GEÇERLİ" "VALID";
    Invalid "GEÇERSİZ" "INVALID";
    Undecided "BELİRSİZ" "UNDECIDED";
}

/// The kind and event of an evidence as a heading.
pub fn title(kind: EvidenceKind, event: Event, language: Language) -> String {
    let said = super::event_sentence(kind, event);
    format!(
        "{} ({} / {})",
        said.in_language(language),
        kind.element_name(),
        event.fragment()
    )
}

/// A reason of a judge in the language asked for.
pub fn reason(english: &str, language: Language) -> String {
    match language {
        Language::English => english.to_owned(),
        Language::Turkish => in_turkish(english, DEPTH_MAX),
    }
}

/// Whether the table knows a reason's pattern, holes written as `{}`.
pub fn is_known(pattern: &str) -> bool {
    all().any(|(english, _)| *english == pattern)
}

/// All patterns, wherever they stand.
fn all() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    PATTERNS.iter().chain(OF_REVOCATION).chain(OF_PERSONS)
}

fn in_turkish(english: &str, depth: usize) -> String {
    if depth == 0 {
        return english.to_owned();
    }
    // The pattern with most fixed text says most.
    let found = all()
        .filter_map(|(en, tr)| Some((en.len(), holes(en, english)?, tr)))
        .max_by_key(|(length, _, _)| *length);
    let Some((_, holes, turkish)) = found else {
        return english.to_owned();
    };
    let mut out = String::new();
    let mut pieces = turkish.split("{}");
    out.push_str(pieces.next().unwrap_or_default());
    for (hole, piece) in holes.iter().zip(pieces) {
        out.push_str(&in_turkish(hole, depth - 1));
        out.push_str(piece);
    }
    out
}

/// What stands in the holes of a pattern; None when the text is not of its form. A hole ends where the next fixed text
/// first stands.
fn holes<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = pattern.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let mut out = Vec::new();
    let pieces: Vec<&str> = pieces.collect();
    for (i, piece) in pieces.iter().enumerate() {
        let is_last = i + 1 == pieces.len();
        let at = if is_last {
            rest.strip_suffix(piece)?.len()
        } else {
            rest.find(piece)?
        };
        out.push(&rest[..at]);
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_nest_and_keep_what_they_name() {
        let english =
            "the time-stamp token: the signature does not follow the profile: two digest algorithms";
        assert_eq!(
            reason(english, Language::Turkish),
            "zaman damgası: imza kabul edilen biçimde değil: iki ayrı özet algoritması"
        );
        assert_eq!(reason(english, Language::English), english);
        let dated = "'CN=A, not at B' is valid from 2026 to 2027, not at 2028";
        assert_eq!(
            reason(dated, Language::Turkish),
            "'CN=A, not at B' sertifikası 2026 ile 2027 arasında geçerli; 2028 anında değil"
        );
        assert_eq!(
            reason("a word of tomorrow", Language::Turkish),
            "a word of tomorrow"
        );
    }

    #[test]
    fn every_pattern_has_the_same_holes_in_both_languages_and_stands_once() {
        for (i, (english, turkish)) in all().enumerate() {
            let count = |text: &str| text.matches("{}").count();
            assert_eq!(count(english), count(turkish), "{english}");
            assert!(!all().take(i).any(|(other, _)| other == english), "{english}");
        }
    }
}
