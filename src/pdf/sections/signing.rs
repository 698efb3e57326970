//! The person who signed the mail, as evidence tells of the signature: among the rows of the mail, and in short in a card.

use super::super::summary::{Document, Person};
use super::{BODY, CODE, ENGLISH, Ink, LABEL, STRONG, Span, Style, cell, label, on_one_line, span, words};
use crate::rem::notice::signature::{moment_words, profile_words, standing_words};

/// Rows of the mail: who, by which certificate, at which profile and when, and what was found when it was handed in.
pub(super) fn rows(document: &Document) -> Vec<(Vec<Span>, Vec<Span>)> {
    let Some(person) = &document.person else {
        return Vec::new();
    };
    let signature = &person.signature;
    let (profile, moment) = (profile_words(signature.profile), moment_words(signature));
    let standing = standing_words(signature);
    let mut who = vec![span(on_one_line(&signature.signer), STRONG)];
    if let Some(number) = &person.masked_number {
        who.push(span(format!(" · TCKN {number}"), BODY));
    }
    let mut verdict = vec![
        span(standing.tr, BODY),
        span(format!("\n{}", standing.en), ENGLISH),
    ];
    if !document.holds() {
        let ink = Ink::Amber;
        verdict.push(span(
            "\nBunu söyleyen delil belgesi tümüyle doğrulanamadı (the evidence that says so does not fully hold).",
            Style { ink, ..BODY },
        ));
    }
    vec![
        (label("İletiyi imzalayan kişi", "Person who signed the mail"), who),
        (
            label("İmza sertifikası", "Certificate: issuer, SHA-256"),
            vec![
                span(on_one_line(&signature.issuer), BODY),
                span(format!("\n{}", words::hex(&signature.certificate_sha256)), CODE),
            ],
        ),
        (
            label("İmza profili ve zamanı", "Profile (BTK 2012/DK-15/299), time"),
            vec![
                span(profile.tr, STRONG),
                span(format!(" · {}", moment.tr), BODY),
                span(format!("\n{} · {}", profile.en, moment.en), ENGLISH),
            ],
        ),
        (
            label("İmzanın denetimi", "Verdict when it was handed in"),
            verdict,
        ),
    ]
}

pub(super) fn in_short(person: &Person) -> Vec<Span> {
    let signature = &person.signature;
    let mut said = cell(on_one_line(&signature.signer), BODY);
    said.push(span(
        format!(
            " · {} · {}",
            profile_words(signature.profile).tr,
            on_one_line(&signature.issuer)
        ),
        LABEL,
    ));
    said
}
