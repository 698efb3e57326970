//! What stands where: title and result, the mail, its recipients, what happened, who approved, each document with what was
//! found on it, the anchors of trust, and how to verify all of it without us.

mod signing;

use super::face::{Face, Faces};
use super::foreign::on_one_line;
use super::lines::{Ink, Span, Style};
use super::paper::{Paper, Row};
use super::summary::{Approval, Document, Finding, Preserved, SealedCopy, Side, Summary};
use super::words;
use crate::rem::notice::judgement::{Language, reason};
use crate::rem::notice::{local_time, reason_words};
use std::collections::HashMap;

const BODY: Style = Style::new(Face::Text, 8.5, Ink::Black);
const STRONG: Style = Style::new(Face::Strong, 8.5, Ink::Black);
const LABEL: Style = Style::new(Face::Text, 8.0, Ink::Grey);
const ENGLISH: Style = Style::new(Face::Text, 6.2, Ink::Grey);
const CODE: Style = Style::new(Face::Mono, 7.6, Ink::Black);
const HEAD: Style = Style::new(Face::Strong, 8.0, Ink::Blue);
/// Name and value.
const PAIR: &[f32] = &[118.0];
/// How many recipients are named in the first table already.
const NAMED_AT_ONCE: usize = 3;

fn span(text: impl Into<String>, style: Style) -> Span {
    Span {
        text: text.into(),
        style,
    }
}

fn cell(text: impl Into<String>, style: Style) -> Vec<Span> {
    vec![span(text, style)]
}

/// A name with its English below.
fn label(tr: &str, en: &str) -> Vec<Span> {
    vec![span(tr, LABEL), span(format!("\n{en}"), ENGLISH)]
}

/// A short name, in cards: English would double their height.
fn short(tr: &str) -> Vec<Span> {
    cell(tr, LABEL)
}

fn head(names: &[(&str, &str)]) -> Row {
    let cells = names
        .iter()
        .map(|(tr, en)| vec![span(*tr, HEAD), span(format!("\n{en}"), ENGLISH)]);
    Row::of(cells.collect()).on(Ink::PaleBlue)
}

/// The whole print.
pub(super) fn set<'f>(faces: &'f Faces, summary: &Summary) -> Paper<'f> {
    let mut print = Print {
        paper: Paper::new(faces),
        summary,
        number: 0,
    };
    print.title();
    print.result();
    print.mail();
    print.recipients();
    print.events();
    print.approvals();
    print.documents();
    print.anchors();
    print.verifying();
    print.paper
}

struct Print<'f, 's> {
    paper: Paper<'f>,
    summary: &'s Summary,
    number: u32,
}

impl Print<'_, '_> {
    fn section(&mut self, tr: &str, en: &str) {
        self.number += 1;
        let title = format!("{}. {tr}", self.number);
        let spans = [
            span(title.clone(), Style::new(Face::Strong, 11.5, Ink::Blue)),
            span(format!(" · {en}"), Style { size: 7.5, ..ENGLISH }),
        ];
        self.paper.heading(&title, &spans);
    }

    fn title(&mut self) {
        self.paper.begin_at(46.0);
        self.paper.paragraph(&cell(
            "KAYITLI ELEKTRONİK POSTA (KEP)",
            Style::new(Face::Strong, 8.5, Ink::Grey),
        ));
        self.paper
            .paragraph(&cell("Delil Özeti", Style::new(Face::Strong, 23.0, Ink::Blue)));
        self.paper.paragraph(&cell(
            "Summary of the evidence of a registered electronic mail",
            Style::new(Face::Text, 9.0, Ink::Grey),
        ));
        self.paper.gap(2.0);
        self.paper.bar(2.0, Ink::Blue);
        self.paper.gap(4.0);
        let made = words::both_times(self.summary.prepared_at);
        self.paper.paragraph(&[
            span("Hazırlayan sağlayıcı: ", LABEL),
            span(self.summary.provider.clone(), STRONG),
            span("\nHazırlanma zamanı: ", LABEL),
            span(made, BODY),
        ]);
        self.paper.gap(4.0);
    }

    /// The whole in one sentence: nothing is called good that was not found good.
    fn result(&mut self) {
        let documents = &self.summary.documents;
        let good = documents.iter().filter(|d| d.holds()).count();
        let failed = documents.iter().filter(|d| has_failed(d)).count();
        let all = documents.len();
        let (ground, ink, tr, en) = if all == 0 {
            (
                Ink::PaleAmber,
                Ink::Amber,
                "Bu ileti için delil belgesi yoktur.".to_owned(),
                "There is no evidence document of this mail.".to_owned(),
            )
        } else if good == all {
            (
                Ink::PaleGreen,
                Ink::Green,
                format!("✓  Delil belgelerinin tümü doğrulandı ({all} belge)."),
                format!("All evidence documents hold ({all})."),
            )
        } else if failed > 0 {
            (
                Ink::PaleRed,
                Ink::Red,
                format!("✗  {all} delil belgesinden {failed} tanesi doğrulanamadı: GEÇERSİZ bulgular var."),
                format!("{failed} of {all} evidence documents do not hold."),
            )
        } else {
            (
                Ink::PaleAmber,
                Ink::Amber,
                format!(
                    "?  {all} delil belgesinden {good} tanesi doğrulandı; ötekilerde belirsiz bulgular var."
                ),
                format!("{good} of {all} evidence documents hold; of the others something is unknown."),
            )
        };
        let text = vec![
            span(tr, Style::new(Face::Strong, 10.5, ink)),
            span(
                "\nHer belgenin şeması, imzası, imzalayanın güven zinciri, zaman damgası ve andığı ileti özeti bu özet \
                 hazırlanırken denetlendi; sonuçlar belge belge aşağıdadır.",
                Style { size: 8.0, ..BODY },
            ),
            span(
                format!(
                    "\n{en} Schema, signature, trust, time-stamp and the digest of the mail were checked when this \
                     summary was made."
                ),
                ENGLISH,
            ),
        ];
        self.paper.together(&[(&[], Row::of(vec![text]).on(ground))]);
    }

    fn mail(&mut self) {
        self.section("İleti", "The mail");
        let mail = &self.summary.mail;
        let mut rows = vec![
            (label("Konu", "Subject"), cell(on_one_line(&mail.subject), STRONG)),
            (label("Gönderen", "Sender"), cell(mail.sender.clone(), BODY)),
            (
                label("Alıcılar", "Recipients"),
                cell(self.recipients_in_short(), BODY),
            ),
        ];
        let submitted = mail
            .submitted_at
            .map_or_else(|| "kayıtlı değil".to_owned(), words::both_times);
        rows.push((label("Gönderim zamanı", "Submitted"), cell(submitted, BODY)));
        if let Side::Received { delivered_at } = mail.side {
            let delivered = words::both_times(delivered_at);
            rows.push((label("Teslim zamanı", "Delivered"), cell(delivered, BODY)));
        }
        rows.push((
            label("Özgün iletinin SHA-256 özeti", "SHA-256 of the original"),
            vec![
                span(words::hex(&mail.original_sha256), CODE),
                span(
                    format!(
                        "\noriginal.eml, {} sekizli (octets)",
                        words::thousands(mail.original_size_bytes)
                    ),
                    ENGLISH,
                ),
            ],
        ));
        rows.push((label("İleti no", "Mail id"), cell(mail.id.clone(), CODE)));
        rows.push((
            label("KEP ileti kimliği", "REM message id"),
            cell(mail.rem_message_id.clone(), CODE),
        ));
        rows.push((
            label("Message-ID", "RFC 5322"),
            cell(mail.message_id.clone(), CODE),
        ));
        // What a document tells that holds goes before what another tells.
        let documents = &self.summary.documents;
        let told = |d: &&Document| d.person.is_some();
        let holds = documents.iter().filter(told).find(|d| d.holds());
        if let Some(document) = holds.or_else(|| documents.iter().find(told)) {
            rows.extend(signing::rows(document));
        }
        for (name, value) in rows {
            self.paper.together(&[(PAIR, Row::of(vec![name, value]))]);
        }
    }

    fn recipients_in_short(&self) -> String {
        let all = &self.summary.mail.recipients;
        let named = all.iter().take(NAMED_AT_ONCE).cloned().collect::<Vec<_>>();
        let named = named.join(", ");
        match all.len().saturating_sub(NAMED_AT_ONCE) {
            0 => named,
            more => format!("{named} ve {more} alıcı daha (2. bölümde)"),
        }
    }

    /// The last that evidence says of each.
    fn recipients(&mut self) {
        self.section(
            "Alıcılar ve son durum",
            "Recipients, and the last that evidence says of each",
        );
        let mut last: HashMap<&str, &Document> = HashMap::new();
        for document in &self.summary.documents {
            if let Some(recipient) = &document.recipient {
                last.insert(recipient, document);
            }
        }
        let head = head(&[
            ("No", ""),
            ("Alıcı", "Recipient"),
            ("Son durum", "Last event"),
            ("Zaman (TSİ)", "Time, UTC+3"),
        ]);
        let rows = self
            .summary
            .mail
            .recipients
            .iter()
            .enumerate()
            .map(|(n, recipient)| {
                let (state, time) = match last.get(recipient.as_str()) {
                    Some(document) => (
                        words::title(document.kind, document.event).0.to_owned(),
                        local_time(document.event_time),
                    ),
                    None => ("alıcıya ilişkin delil yok".to_owned(), "-".to_owned()),
                };
                Row::of(vec![
                    cell((n + 1).to_string(), LABEL),
                    cell(recipient.clone(), BODY),
                    cell(state, BODY),
                    cell(time, BODY),
                ])
            });
        self.paper.table(&[28.0, 195.0, 168.0], &head, rows);
    }

    fn events(&mut self) {
        self.section("Olayların sırası", "What happened, in order");
        let head = head(&[
            ("No", ""),
            ("Zaman (TSİ)", "Time, UTC+3"),
            ("Olay", "Event"),
            ("Alıcı", "Recipient"),
            ("Düzenleyen", "Issuer"),
        ]);
        let rows = self.summary.documents.iter().enumerate().map(|(n, document)| {
            let (tr, en) = words::title(document.kind, document.event);
            Row::of(vec![
                cell((n + 1).to_string(), LABEL),
                cell(local_time(document.event_time), BODY),
                vec![span(tr, BODY), span(format!("\n{en}"), ENGLISH)],
                cell(
                    document
                        .recipient
                        .clone()
                        .unwrap_or_else(|| "iletinin tümü".into()),
                    BODY,
                ),
                cell(document.issuer.clone(), BODY),
            ])
        });
        self.paper.table(&[28.0, 104.0, 158.0, 120.0], &head, rows);
        if self.summary.documents.is_empty() {
            self.paper.paragraph(&cell("Delil belgesi yoktur.", BODY));
        }
    }

    fn approvals(&mut self) {
        self.section("Onaylar ve kararlar", "Who decided");
        if self.summary.approvals.is_empty() {
            self.paper.paragraph(&[
                span("Bu ileti için bir onay akışı kaydı yoktur.", BODY),
                span(" There is no record of an approval of this mail.", ENGLISH),
            ]);
            return;
        }
        let head = head(&[
            ("Zaman (TSİ)", "Time, UTC+3"),
            ("Kim", "Who"),
            ("Karar", "Decision"),
            ("Kural, adım, rol", "Rule, step, role"),
            ("Not", "Note"),
        ]);
        let rows = self.summary.approvals.iter().map(approval);
        self.paper.table(&[104.0, 95.0, 88.0, 95.0], &head, rows);
        self.paper.gap(4.0);
        self.paper.paragraph(&cell(
            "Kararlar hizmet sağlayıcının kayıtlarındandır (approvals.json); her karar, üzerinde verildiği iletinin SHA-256 \
             özetine bağlıdır.",
            Style { size: 7.0, ..LABEL },
        ));
    }

    fn documents(&mut self) {
        self.section(
            "Delil belgeleri ve denetim sonuçları",
            "The documents, and what was found on each",
        );
        for (n, document) in self.summary.documents.iter().enumerate() {
            let rows = card(n + 1, document);
            let rows: Vec<(&[f32], Row)> = rows.into_iter().collect();
            self.paper.together(&rows);
            self.paper.gap(7.0);
        }
        for copy in &self.summary.dispatches {
            let rows = copy_card(copy);
            self.paper.together(&rows);
            self.paper.gap(7.0);
        }
    }

    fn anchors(&mut self) {
        self.section("Güven kökleri", "Trust anchors and intermediates");
        self.paper.paragraph(&[
            span(
                "İmzalar ve zaman damgaları bu sertifikalara (trust klasörü) göre denetlendi. Parmak izlerini, yayımlayan \
                 kurumun kendi duyurusuyla karşılaştırınız.",
                BODY,
            ),
            span(
                " Compare the fingerprints with what the issuing body publishes itself.",
                ENGLISH,
            ),
        ]);
        let head = head(&[
            ("Sağlayıcı", "Provider"),
            ("Sertifika", "Certificate, and its SHA-256 fingerprint"),
        ]);
        let rows = self.summary.anchors.iter().map(|anchor| {
            let day = |at| local_time(at).split(' ').next().unwrap_or_default().to_owned();
            Row::of(vec![
                cell(anchor.provider.clone(), BODY),
                vec![
                    span(anchor.subject.clone(), BODY),
                    span(
                        format!(" · {} - {}", day(anchor.not_before), day(anchor.not_after)),
                        LABEL,
                    ),
                    span("\n", BODY),
                    span(words::hex(&anchor.sha256), CODE),
                ],
            ])
        });
        self.paper.table(PAIR, &head, rows);
    }

    fn verifying(&mut self) {
        self.section("Bizden bağımsız doğrulama", "How to verify without us");
        let attached = if self.summary.attachments.is_empty() {
            "Belgeler, bu PDF'nin içinde bulunduğu dışa aktarma klasöründedir."
        } else {
            "Belgeler, bu PDF'nin içinde bulunduğu dışa aktarma klasöründedir; delil belgeleri ayrıca bu PDF'ye eklidir \
             (pdfdetach -saveall ozet.pdf)."
        };
        self.paper.paragraph(&[
            span(attached, BODY),
            span(
                " Aşağıdaki komutlar o klasörde, ağ bağlantısı ve hizmet sağlayıcı olmadan çalışır.",
                BODY,
            ),
            span(
                " These commands need the export's folder, and neither a network nor the provider.",
                ENGLISH,
            ),
        ]);
        for (tr, command) in COMMANDS {
            let rows: [(&[f32], Row); 2] = [
                (
                    &[],
                    Row {
                        cells: vec![cell(*tr, BODY)],
                        ..Row::default()
                    },
                ),
                (&[], Row::of(vec![cell(*command, CODE)]).on(Ink::PaleGrey)),
            ];
            self.paper.together(&rows);
            self.paper.gap(3.0);
        }
    }
}

/// What a reader types in the folder of the export.
const COMMANDS: &[(&str, &str)] = &[
    (
        "Dört bulgunun tümü, kepd'nin aracıyla (all four findings, by kepd's own tool):",
        "kepctl evidence verify evidence/*.xml --trust trust --offline",
    ),
    (
        "Dosyaların SHA-256 özetleri; bu özette ve manifest.json'da yazanlarla karşılaştırılır (digests of the files):",
        "sha256sum original.eml dispatch*.eml evidence/*.xml",
    ),
    (
        "Bir delilin XML imzası ve sertifika zinciri; SAĞLAYICI, belgeyi düzenleyenin alan adı, \
         doğrulama anı, zaman damgasının UTC zamanıdır (XML signature; the moment is that of the time-stamp):",
        "xmlsec1 --verify --enabled-key-data x509 --id-attr:Id SignedProperties \
         --verification-gmt-time \"YYYY-AA-GG SS:DD:ss\" --trusted-pem trust/SAĞLAYICI.pem evidence/NN-AD.xml",
    ),
    (
        "İmzanın zaman damgası: EncapsulatedTimeStamp öğesinin base64 içeriği damga.der, damgalanan SignatureValue öğesinin \
         kurallı (exclusive C14N) biçimi imza.bin dosyasına yazıldıktan sonra (time-stamp):",
        "openssl ts -verify -token_in -in damga.der -data imza.bin -CAfile trust/SAĞLAYICI.pem",
    ),
    (
        "Mühürlü iletinin S/MIME imzası (seal of the dispatch):",
        "openssl cms -verify -in dispatch.eml -CAfile trust/SAĞLAYICI.pem -purpose any -out icerik.eml",
    ),
];

fn has_failed(document: &Document) -> bool {
    let findings = [
        &document.schema,
        &document.signature,
        &document.trust,
        &document.timestamp,
    ];
    findings.iter().any(|f| matches!(f, Finding::Failed(_)))
        || document.names_original == Some(false)
        || matches!(document.preserved, Preserved::Failed(_))
}

fn approval(approval: &Approval) -> Row {
    let mut who = cell(approval.actor.clone(), BODY);
    if let Some(other) = &approval.in_name_of {
        who.push(span(format!("\n{other} adına"), LABEL));
    }
    let mut deed = cell(words::deed(&approval.deed), BODY);
    if let Some(to) = &approval.to {
        deed.push(span(format!(": {to}"), BODY));
    }
    if !approval.on_original {
        deed.push(span("\nönceki bir sürüm üzerinde", Style { size: 7.0, ..LABEL }));
    }
    let mut place = cell(on_one_line(&approval.rule), BODY);
    if let Some(step) = approval.step {
        place.push(span(format!("\n{step}. adım"), LABEL));
    }
    if let Some(role) = &approval.role {
        place.push(span(format!("\n{}", on_one_line(role)), LABEL));
    }
    Row::of(vec![
        cell(local_time(approval.at), BODY),
        who,
        deed,
        place,
        cell(on_one_line(&approval.note), BODY),
    ])
}

fn pair(name: &str, value: Vec<Span>) -> Row {
    Row::of(vec![short(name), value])
}

const FINDINGS: &[f32] = &[99.0, 99.0, 99.0, 99.0];
const SEAL_FINDINGS: &[f32] = &[165.0, 165.0];

/// One document, with all that is known of it.
fn card(n: usize, document: &Document) -> Vec<(&'static [f32], Row)> {
    let (tr, en) = words::title(document.kind, document.event);
    let title = vec![
        span(format!("{n}. {}: {tr}", words::kind_name(document.kind)), STRONG),
        span(format!(" · {en}"), ENGLISH),
    ];
    let stamp = document.stamp_time.map_or_else(
        || "geçerli bir zaman damgası bulunamadı".to_owned(),
        words::both_times,
    );
    let mut issuer = cell(document.issuer.clone(), BODY);
    if !document.issuer_name.is_empty() {
        issuer.push(span(format!(" · {}", on_one_line(&document.issuer_name)), LABEL));
    }
    let mut rows = vec![
        (&[] as &'static [f32], Row::of(vec![title]).on(Ink::PaleBlue)),
        (PAIR, pair("Dosya", cell(document.file.clone(), CODE))),
        (
            PAIR,
            pair("Olay zamanı", cell(words::both_times(document.event_time), BODY)),
        ),
        (PAIR, pair("Zaman damgası", cell(stamp, BODY))),
        (PAIR, pair("Düzenleyen", issuer)),
    ];
    if let Some(signer) = &document.signer {
        rows.push((PAIR, pair("Mühür sertifikası", cell(signer.clone(), BODY))));
    }
    rows.push((PAIR, pair("Mührün düzeyi", level(document.level))));
    rows.push((PAIR, pair("Kanıt kaydı", record(&document.preserved))));
    if let Some(person) = &document.person {
        rows.push((PAIR, pair("İletiyi imzalayan", signing::in_short(person))));
    }
    if let Some(recipient) = &document.recipient {
        rows.push((PAIR, pair("İlgili alıcı", cell(recipient.clone(), BODY))));
    }
    if let Some(reasons) = reasons(document) {
        rows.push((PAIR, pair("Gerekçe", cell(reasons, BODY))));
    }
    rows.push((
        PAIR,
        pair("Delil kimliği", cell(document.identifier.clone(), CODE)),
    ));
    rows.push((
        PAIR,
        pair("Dosyanın SHA-256'sı", cell(words::hex(&document.sha256), CODE)),
    ));
    let original = match document.names_original {
        Some(true) => Finding::Ok,
        Some(false) => {
            Finding::Failed("belge başka bir iletinin özetini anıyor (it names another digest)".into())
        }
        None => Finding::Unknown("belge SHA-256 özeti anmıyor (it names no SHA-256)".into()),
    };
    let five = [
        ("Şema", &document.schema),
        ("İmza", &document.signature),
        ("Güven", &document.trust),
        ("Zaman damgası", &document.timestamp),
        ("İleti özeti", &original),
    ];
    rows.extend(findings(FINDINGS, &five));
    rows
}

/// A sealed copy, and what was found on its seal.
fn copy_card(copy: &SealedCopy) -> Vec<(&'static [f32], Row)> {
    let title = vec![
        span("Mühürlü ileti", STRONG),
        span(" · sealed dispatch (S/MIME), as it went over the wire", ENGLISH),
    ];
    let stamp = copy.stamp_time.map_or_else(
        || "geçerli bir zaman damgası bulunamadı".to_owned(),
        words::both_times,
    );
    let mut rows: Vec<(&[f32], Row)> = vec![
        (&[], Row::of(vec![title]).on(Ink::PaleBlue)),
        (PAIR, pair("Dosya", cell(copy.file.clone(), CODE))),
        (PAIR, pair("Zaman damgası", cell(stamp, BODY))),
        (PAIR, pair("Mühürleyen", cell(copy.issuer.clone(), BODY))),
    ];
    if let Some(signer) = &copy.signer {
        rows.push((PAIR, pair("Mühür sertifikası", cell(signer.clone(), BODY))));
    }
    rows.push((PAIR, pair("Kanıt kaydı", record(&copy.preserved))));
    rows.push((
        PAIR,
        pair("Dosyanın SHA-256'sı", cell(words::hex(&copy.sha256), CODE)),
    ));
    let three = [
        ("Mühür", &copy.signature),
        ("Güven", &copy.trust),
        ("Zaman damgası", &copy.timestamp),
    ];
    rows.extend(findings(SEAL_FINDINGS, &three));
    rows
}

/// A line of findings, and below it why for each that is not good.
fn findings(widths: &'static [f32], all: &[(&'static str, &Finding)]) -> Vec<(&'static [f32], Row)> {
    let cells = all.iter().map(|(name, finding)| {
        vec![
            span(*name, Style { size: 7.0, ..LABEL }),
            span(
                format!("\n{}", words::finding(finding)),
                Style::new(Face::Strong, 8.0, ink(finding)),
            ),
        ]
    });
    let mut rows = vec![(widths, Row::of(cells.collect()).on(Ink::PaleGrey))];
    for (name, finding) in all {
        if let Finding::Failed(why) | Finding::Unknown(why) = finding {
            let style = Style {
                ink: ink(finding),
                ..BODY
            };
            rows.push((PAIR, pair(name, cell(on_one_line(why), style))));
        }
    }
    rows
}

/// How long a seal can be judged by what stands in it (EN 319 132-1 6).
fn level(level: Option<&str>) -> Vec<Span> {
    let Some(level) = level else {
        return cell("saptanamadı: imza geçerli değil", BODY);
    };
    let (tr, en) = words::level(level);
    vec![
        span(level, STRONG),
        span(format!(" · {tr}"), BODY),
        span(format!(" {en}"), ENGLISH),
    ]
}

/// Whether an evidence record (RFC 4998) covers it.
fn record(preserved: &Preserved) -> Vec<Span> {
    let (text, ink) = match preserved {
        Preserved::NotYet => (
            "henüz yok (not covered by an evidence record yet)".to_owned(),
            Ink::Black,
        ),
        Preserved::Since { since, until } => {
            let (since, until) = (local_time(*since), local_time(*until));
            let text = format!(
                "RFC 4998; belgenin {since} tarihinden beri var olduğu kanıtlı, son damganın sertifikası {until} tarihine dek \
                 geçerli"
            );
            (text, Ink::Black)
        }
        Preserved::Failed(why) => (
            format!("GEÇERSİZ: {}", on_one_line(&reason(why, Language::Turkish))),
            Ink::Red,
        ),
    };
    cell(text, Style { ink, ..BODY })
}

fn ink(finding: &Finding) -> Ink {
    match finding {
        Finding::Ok => Ink::Green,
        Finding::Failed(_) => Ink::Red,
        Finding::Unknown(_) => Ink::Amber,
    }
}

fn reasons(document: &Document) -> Option<String> {
    let known = document.reasons.iter().map(|r| {
        let words = reason_words(r.reason).tr;
        match &r.details {
            Some(details) => format!("{words} ({})", on_one_line(details)),
            None => words,
        }
    });
    let all: Vec<String> = known
        .chain(document.other_reasons.iter().map(|r| on_one_line(r)))
        .collect();
    (!all.is_empty()).then(|| all.join("; "))
}
