//! What is taken out of the house for others: the summary that a court reads, and the bundles of a period.

use crate::kepctl::{kepctl, start};
use crate::provider::START;
use crate::road::{message, pair};
use crate::walked::{ALICI, Files, left};
use kepd::cms::algorithm::sha256;
use kepd::domain::audit_chain::hex;
use kepd::domain::item::ItemKind;
use kepd::id::MailId;
use kepd::service::archive::{Period, PeriodMark, Step};
use kepd::service::failure::{Failure, Kind};
use kepd::service::submission::Accepted;
use kepd::store::db::Batch;
use kepd::store::tables::mails;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What a program of Debian says of a file in a folder.
fn ask(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program} is installed: {e}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && faults.is_empty(),
        "{program}: {said} {faults}"
    );
    said
}

/// The text of a PDF, past qpdf.
pub fn text_of(pdf: &Path) -> String {
    let (folder, name) = (pdf.parent().unwrap(), pdf.file_name().unwrap().to_str().unwrap());
    ask(folder, "qpdf", &["--check", name]);
    ask(folder, "pdftotext", &["-layout", name, "-"])
}

/// The summary of a bundle says what the bundle holds.
fn check_summary(files: &Files, subject: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("ozet.pdf"), &files["ozet.pdf"]).unwrap();
    let text = text_of(&dir.path().join("ozet.pdf"));
    assert!(text.contains("Delil belgelerinin tümü doğrulandı"), "{text}");
    assert!(text.contains(subject), "{text}");
    let fonts = ask(dir.path(), "pdffonts", &["ozet.pdf"]);
    for row in fonts.lines().skip(2) {
        assert!(row.contains("+DejaVu") && row.contains("yes yes yes"), "{fonts}");
    }
    // Digests of the files themselves, and the files themselves.
    ask(dir.path(), "pdfdetach", &["-saveall", "ozet.pdf"]);
    let mut evidence = 0;
    for (name, octets) in files {
        if name.starts_with("evidence/") || name == "original.eml" || name == "dispatch.eml" {
            assert!(text.contains(&hex(&sha256(octets))), "{name}\n{text}");
        }
        if let Some(name) = name.strip_prefix("evidence/") {
            assert_eq!(&std::fs::read(dir.path().join(name)).unwrap(), octets, "{name}");
            evidence += 1;
        }
    }
    let marks = text.matches("✓ geçerli").count();
    // Five findings of each document, three of the seal of each copy.
    let copies = files
        .keys()
        .filter(|name| name.starts_with("dispatch") && name.ends_with(".eml"));
    assert_eq!(marks, 5 * evidence + 3 * copies.count(), "{text}");
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let listed = manifest["files"].as_array().unwrap().iter();
    let listed = listed.clone().find(|f| f["path"] == "ozet.pdf").unwrap();
    assert_eq!(listed["sha256"], hex(&sha256(&files["ozet.pdf"])));
    text
}

#[tokio::test]
async fn a_bundle_holds_a_summary_that_a_court_can_read() {
    let left = left().await;
    let sent = check_summary(&left.at_hs01, "Fiyat TEKLİFİ");
    for said in [
        "onay1@ornekas",
        "Gönderime verdi",
        "Uygundur",
        "Alıcının sağlayıcısı teslim aldı",
        "sayfa 1 / ",
    ] {
        assert!(sent.contains(said), "{said}\n{sent}");
    }
    assert!(sent.contains(&left.mail.to_string()));
    let received = check_summary(&left.at_hs02, "Fiyat TEKLİFİ");
    assert!(received.contains("Teslim zamanı"), "{received}");
    // The anchors of both providers, as their files have them.
    for (name, pem) in left.at_hs01.iter().filter(|(name, _)| name.starts_with("trust/")) {
        let all = kepd::cms::Certificate::from_pem_text(std::str::from_utf8(pem).unwrap()).unwrap();
        for certificate in all {
            assert!(sent.contains(&certificate.fingerprint_hex()), "{name}");
        }
    }
}

/// A mail of so many parts that its map does not fit a row: it is read from the mail again.
#[tokio::test]
async fn a_mail_of_many_parts_is_exported_by_who_received_it() {
    let pair = pair().await;
    let part = "--b1\r\nContent-Type: application/octet-stream; name=ek-dosya-adi.bin\r\n\r\nek\r\n";
    let many = message("Çok ekli", ALICI).replace("--b1--", &format!("{}--b1--", part.repeat(300)));
    let sent = pair.hs01.submit("mudur@ornekas", &[ALICI], &many).await;
    assert!(matches!(sent, Ok(Accepted::Sent { .. })), "{sent:?}");
    pair.work().await;
    let q = &pair.hs02;
    let items = q.items("alici").into_iter();
    let mut incoming = items.filter(|i| i.kind == ItemKind::Incoming);
    let (item, alici) = (incoming.next().unwrap(), q.tenant("alici"));
    let body = kepd::store::tables::items::body(&*q.db, alici, item.id)
        .unwrap()
        .unwrap();
    assert!(body.row.outline.is_empty(), "it fits a row");
    let out = pair.dir.path().join("out");
    let done = q.archive.export(alici, item.mail.unwrap(), &out).await.unwrap();
    let name = done.folder.to_str().unwrap();
    let said = kepctl(&["--json", "evidence", "verify", name]);
    assert!(said.status.success(), "{said:?}");
}

/// Enough mails for a second step.
const MAILS: usize = 27;

fn folders(out: &Path) -> BTreeSet<String> {
    let all = std::fs::read_dir(out).unwrap();
    let all = all.map(|e| e.unwrap().file_name().into_string().unwrap());
    all.filter(|name| !name.starts_with("index.json")).collect()
}

#[tokio::test]
async fn a_period_is_exported_in_steps_and_one_that_broke_off_is_gone_on_with() {
    let pair = pair().await;
    let p = &pair.hs01;
    let submit = async |subject: String| match p
        .submit("mudur@ornekas", &[ALICI], &message(&subject, ALICI))
        .await
    {
        Ok(Accepted::Sent { mail }) => mail,
        other => panic!("{other:?}"),
    };
    let before = submit("Eski".into()).await;
    pair.clock.advance(Duration::from_secs(86_400));
    let mut sent = BTreeSet::new();
    for n in 0..MAILS {
        sent.insert(submit(format!("Çağrı {n}")).await.to_string());
    }
    pair.work().await;
    pair.clock.advance(Duration::from_secs(86_400));
    let after = submit("Yeni".into()).await;
    // It waits for an approval: it is no mail of any period yet.
    let held = p
        .submit("ayse@ornekas", &[ALICI], &message("Teklif", ALICI))
        .await;
    assert!(matches!(held, Ok(Accepted::Job { .. })));
    pair.work().await;

    let day = |n: u64| START.plus(Duration::from_secs(n * 86_400));
    let period = |since, until, wish: &str| Period {
        since,
        until,
        tenants: vec![p.tenant("ornekas")],
        wish: wish.into(),
    };
    let wish = period(day(1), day(2), "the second day");
    let out = pair.dir.path().join("out");
    let all = |_: MailId| Ok(true);
    let step =
        async |wish: &Period, after: Option<PeriodMark>| p.archive.export_step(wish, after, &out, &all).await;
    let first = step(&wish, None).await.unwrap();
    assert!(
        matches!(
            first,
            Step {
                written: 25,
                there: 0,
                next: Some(_),
                ..
            }
        ),
        "{first:?}"
    );
    assert!(!out.join("index.json").exists());
    // Broken off there, in the middle of a folder; another period does not go into it, the same one goes on.
    let torn = sent.iter().find(|name| !out.join(name).exists()).unwrap();
    std::fs::create_dir(out.join(format!("{torn}.part"))).unwrap();
    let other = step(&period(day(0), day(2), "two days"), None).await;
    assert!(matches!(other, Err(Failure::Refused(_))), "{other:?}");
    let mut mark = None;
    let (mut written, mut there) = (0, 0);
    loop {
        let step = step(&wish, mark).await.unwrap();
        written += step.written;
        there += step.there;
        mark = step.next;
        if mark.is_none() {
            break;
        }
    }
    assert_eq!((written, there), (MAILS - 25, 25));
    assert_eq!(folders(&out), sent);
    assert!(![before, after].iter().any(|m| sent.contains(&m.to_string())));

    let text = std::fs::read_to_string(out.join("index.json")).unwrap();
    assert_eq!(text.lines().count(), MAILS + 2, "a line for each");
    let index: Value = serde_json::from_str(&text).unwrap();
    let times: Vec<&str> = index
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["submitted_at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "in order of time: {times:?}");
    for line in index.as_array().unwrap() {
        let folder = out.join(line["folder"].as_str().unwrap());
        let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
        assert_eq!(line["manifest_sha256"], hex(&sha256(&manifest)));
        let original = std::fs::read(folder.join("original.eml")).unwrap();
        assert_eq!(line["original_sha256"], hex(&sha256(&original)));
        assert!(line["subject"].as_str().unwrap().starts_with("Çağrı "));
        assert!(folder.join("ozet.pdf").is_file());
    }
    // It is finished: nothing is written into it any more.
    let again = step(&wish, None).await;
    assert!(matches!(again, Err(Failure::Refused(r)) if r.kind == Kind::Invalid));
}

/// The export broke off; evidence came in; and of one mail something is damaged.
#[tokio::test]
async fn what_came_in_since_is_exported_and_what_is_damaged_stops_nothing() {
    let pair = pair().await;
    let p = &pair.hs01;
    let mut mails = Vec::new();
    for n in 0..3 {
        pair.clock.advance(Duration::from_secs(60));
        let sent = p
            .submit("mudur@ornekas", &[ALICI], &message(&format!("Çağrı {n}"), ALICI))
            .await;
        let Ok(Accepted::Sent { mail }) = sent else {
            panic!("{sent:?}")
        };
        mails.push(mail);
    }
    pair.work().await;
    let wish = Period {
        since: START,
        until: START.plus(Duration::from_secs(86_400)),
        tenants: vec![p.tenant("ornekas")],
        wish: "w".into(),
    };
    let out = pair.dir.path().join("out");
    let seen = std::sync::Mutex::new(None);
    let breaks = |mail: MailId| match *seen.lock().unwrap().get_or_insert(mail) == mail {
        true => Ok(true),
        false => Err(Failure::Unavailable("the disk is full".into())),
    };
    assert!(p.archive.export_step(&wish, None, &out, &breaks).await.is_err());
    let first = seen.lock().unwrap().unwrap();
    assert_eq!(folders(&out), BTreeSet::from([first.to_string()]));
    let evidence = || {
        std::fs::read_dir(out.join(first.to_string()).join("evidence"))
            .unwrap()
            .count()
    };
    let before = evidence();
    // A crash behind the exchange of an older one with a newer leaves the older one beside it.
    let left = out.join(format!("{first}.part"));
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("manifest.json"), "old").unwrap();
    assert!(p.archive.export_step(&wish, None, &out, &breaks).await.is_err());
    assert!(!left.exists(), "it is taken away, though nothing is made anew");
    assert_eq!(evidence(), before);

    let reader = pair.hs02.principal("alici@alici");
    for item in pair.hs02.items("alici") {
        pair.hs02.mailboxes.hand_over(&reader, &item).await.unwrap();
    }
    pair.work().await;
    let damaged = *mails.iter().find(|mail| **mail != first).unwrap();
    let tenant = p.tenant("ornekas");
    let stored = mails::mail(&*p.db, tenant, damaged).unwrap().unwrap();
    let mut row = stored.row.clone();
    row.original_sha256 = [7; 32];
    let mut batch = Batch::new();
    stored.replace(&mut batch, &row).unwrap();
    p.db.commit(batch).await.unwrap();

    let all = |_: MailId| Ok(true);
    let step = p.archive.export_step(&wish, None, &out, &all).await.unwrap();
    assert_eq!(
        step,
        Step {
            written: 2,
            remade: 1,
            there: 0,
            faults: 1,
            next: None
        }
    );
    assert!(evidence() > before, "the reading is in it now");
    let said = kepctl(&[
        "evidence",
        "verify",
        out.join(first.to_string()).to_str().unwrap(),
    ]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    let index: Value = serde_json::from_slice(&std::fs::read(out.join("index.json")).unwrap()).unwrap();
    let ids: Vec<&str> = index
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["mail_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, mails.iter().map(ToString::to_string).collect::<Vec<_>>());
    for line in index.as_array().unwrap() {
        let is_damaged = line["mail_id"] == damaged.to_string();
        assert_eq!(line["folder"].is_null(), is_damaged, "{line}");
        assert_eq!(
            line["fault"]
                .as_str()
                .is_some_and(|why| why.contains("does not have its digest")),
            is_damaged
        );
    }
}

/// Nothing but the bundle, and two programs: a machine without a network, without a home, without settings.
#[tokio::test]
async fn a_bundle_is_verified_on_a_bare_machine() {
    let left = left().await;
    for files in [&left.at_hs01, &left.at_hs02] {
        let dir = tempfile::tempdir().unwrap();
        for (name, octets) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, octets).unwrap();
        }
        let guide = String::from_utf8(files["OKU.txt"].clone()).unwrap();
        let walk = guide.split("--- sh ---\n").nth(1).unwrap();
        let no_network = Command::new("unshare").args(["-rn", "true"]).status();
        let no_network = no_network.is_ok_and(|status| status.success());
        let bare = |program: &str, arguments: &[&str]| -> (bool, String) {
            let mut command = match no_network {
                true => Command::new("unshare"),
                false => Command::new(program),
            };
            if no_network {
                command.args(["-rn", "--", program]);
            }
            let out = command
                .args(arguments)
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .current_dir(dir.path())
                .output()
                .unwrap();
            let said = [out.stdout, out.stderr].concat();
            (out.status.success(), String::from_utf8_lossy(&said).into_owned())
        };
        let tool = env!("CARGO_BIN_EXE_kepctl");
        let (holds, said) = bare(tool, &["evidence", "verify", "."]);
        assert!(holds, "{said}");
        let (holds, said) = bare("sh", &["-c", walk]);
        assert!(holds && said.ends_with("TAMAM\n"), "{said}");
        // One octet of one evidence: both say so.
        let name = files.keys().find(|name| name.starts_with("evidence/")).unwrap();
        let mut changed = files[name].clone();
        let place = changed.len() / 2;
        changed[place] ^= 1;
        std::fs::write(dir.path().join(name), changed).unwrap();
        assert!(!bare(tool, &["evidence", "verify", "."]).0);
        assert!(!bare("sh", &["-c", walk]).0);
    }
}

#[tokio::test]
async fn a_mail_that_is_not_to_be_seen_is_not_in_the_export() {
    let pair = pair().await;
    for subject in ["Bir", "İki"] {
        let sent = pair
            .hs01
            .submit("mudur@ornekas", &[ALICI], &message(subject, ALICI))
            .await;
        assert!(matches!(sent, Ok(Accepted::Sent { .. })));
    }
    pair.work().await;
    let p = &pair.hs02;
    let wish = Period {
        since: START,
        until: START.plus(Duration::from_secs(86_400)),
        tenants: vec![p.tenant("alici")],
        wish: "w".into(),
    };
    let seen = std::sync::Mutex::new(None);
    // The first that is asked about, and no other.
    let visible = |mail: MailId| Ok(*seen.lock().unwrap().get_or_insert(mail) == mail);
    let out = pair.dir.path().join("out");
    let step = p.archive.export_step(&wish, None, &out, &visible).await.unwrap();
    assert_eq!(
        step,
        Step {
            written: 1,
            remade: 0,
            there: 0,
            faults: 0,
            next: None
        }
    );
    let seen = seen.lock().unwrap().unwrap().to_string();
    assert_eq!(folders(&out), BTreeSet::from([seen]));
    let index: Value = serde_json::from_slice(&std::fs::read(out.join("index.json")).unwrap()).unwrap();
    assert_eq!(index[0]["side"], "received");
}

#[test]
fn kepctl_writes_the_summary_and_a_period() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d");
    let mut demo = Command::new(env!("CARGO_BIN_EXE_kepd"));
    demo.args(["demo", "--exit", "--json", "--data"]).arg(&data);
    let walked = demo.env("RUST_LOG", "warn").output().unwrap();
    assert!(
        walked.status.success(),
        "{}",
        String::from_utf8_lossy(&walked.stdout)
    );
    let bundle = std::fs::read_dir(data.join("out"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let mail = bundle.file_name().into_string().unwrap();

    let _daemon = start(&data.join("hs01"));
    let ports: Value =
        serde_json::from_slice(&std::fs::read(data.join("hs01").join("ports.json")).unwrap()).unwrap();
    let socket = ports["control"].as_str().unwrap();
    let say = |args: &[&str]| kepctl(&[&["--socket", socket, "--json"], args].concat());
    let done = |args: &[&str]| -> Value {
        let said = say(args);
        assert!(
            said.status.success(),
            "{args:?} {}",
            String::from_utf8_lossy(&said.stderr)
        );
        serde_json::from_slice(&said.stdout).unwrap()
    };
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();

    done(&["evidence", "export", &mail, "--pdf", &path("ozet.pdf")]);
    let text = text_of(&dir.path().join("ozet.pdf"));
    assert!(
        text.contains(&mail) && text.contains("tümü doğrulandı (4 belge)"),
        "{text}"
    );
    let again = say(&["evidence", "export", &mail, "--pdf", &path("ozet.pdf")]);
    assert_eq!(again.status.code(), Some(1), "never overwritten");

    let period = [
        "mail",
        "export",
        "--since",
        "2020-01-01",
        "--until",
        "2099-12-31",
        "--out",
    ];
    let written = done(&[&period[..], &[&path("all"), "--tenant", "ornekas"]].concat());
    assert_eq!(
        (&written["written"], &written["there"]),
        (&1.into(), &0.into()),
        "{written}"
    );
    let exported = dir.path().join("all").join(&mail);
    let one = std::fs::read(exported.join("original.eml")).unwrap();
    assert_eq!(one, std::fs::read(bundle.path().join("original.eml")).unwrap());
    // By a user's rights: an officer takes out what is his account's, and no other's.
    let his = done(&[&period[..], &[&path("his"), "--as", "mudur@ornekas"]].concat());
    assert_eq!(his["written"], 1);
    done(&["user", "add", "yeni@ornekas"]);
    let hers = done(&[&period[..], &[&path("hers"), "--as", "yeni@ornekas"]].concat());
    assert_eq!(hers["written"], 0);
    let not_hers = say(&[
        "evidence",
        "export",
        &mail,
        "--pdf",
        &path("x.pdf"),
        "--as",
        "yeni@ornekas",
    ]);
    assert_eq!(not_hers.status.code(), Some(1));
    assert!(!dir.path().join("x.pdf").exists());
    let backwards = [
        "mail",
        "export",
        "--since",
        "2026-02-01",
        "--until",
        "2026-01-01",
        "--out",
        &path("b"),
    ];
    assert_eq!(say(&backwards).status.code(), Some(1));
    assert_eq!(
        say(&["mail", "export", "--out", &path("c")]).status.code(),
        Some(2)
    );
}
