//! Relaying on real sockets: providers hand over to each other with pinned certificates.

use crate::doors::{Lines, anywhere, dial, doors, tls, tls_pin};
use crate::road::message;
use kepd::domain::provider::Fingerprint;
use kepd::id::{QueueId, SystemIds};
use kepd::net::relay_out::RelayOut;
use kepd::net::tls::connect_pinned;
use kepd::service::relay::{Carrier, Fate, Outbound, Relay};
use kepd::store::db::Batch;
use kepd::store::tables::items::Content;
use kepd::store::tables::peers;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, BufReader};

const ALICI: &str = "alici@hs02.kep.test";

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_door_knows_its_peers() {
    let doors = doors().await;
    let mut lines = Lines(BufReader::new(dial(doors.relay).await));
    lines.reply().await;
    lines.say("EHLO peer").await;
    assert!(lines.say("STARTTLS").await.starts_with("220 "));
    let stream = connect_pinned(lines.0.into_inner(), "127.0.0.1", &[tls_pin()])
        .await
        .unwrap();
    let mut lines = Lines(BufReader::new(stream));
    lines.say("EHLO peer").await;
    assert!(
        lines
            .say("MAIL FROM:<kep@hs09.kep.test>")
            .await
            .starts_with("550 5.7.1 ")
    );
    assert!(
        lines
            .say("MAIL FROM:<kep@hs01.kep.test>")
            .await
            .starts_with("250 ")
    );
    assert!(
        lines
            .say("RCPT TO:<kimse@hs02.kep.test>")
            .await
            .starts_with("550 5.1.1 ")
    );
    assert!(lines.say("RCPT TO:<kep@hs02.kep.test>").await.starts_with("250 "));
    assert!(lines.say(&format!("RCPT TO:<{ALICI}>")).await.starts_with("250 "));
    assert!(lines.say("DATA").await.starts_with("354 "));
    let plain = message("Sahte", ALICI);
    lines.0.get_mut().write_all(plain.as_bytes()).await.unwrap();
    assert!(
        lines.say(".").await.starts_with("550 5.7.1 "),
        "an unsealed message"
    );
}

fn outbound(content: Content, to: &[&str]) -> Outbound {
    Outbound {
        queue_id: QueueId::fresh(&SystemIds),
        reverse_path: "kep@hs01.kep.test".parse().unwrap(),
        recipients: to.iter().map(|t| t.parse().unwrap()).collect(),
        content,
        has_8bit: true,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_road_over_sockets() {
    let mut doors = doors().await;
    let peer = doors.hs02_as(vec![tls_pin()], doors.relay);
    let mut batch = Batch::new();
    peers::put(&mut batch, &peer).unwrap();
    doors.pair.hs01.db.commit(batch).await.unwrap();
    let old = doors.pair.hs01.relay.clone();
    let carrier = Arc::new(RelayOut::new(
        doors.pair.hs01.spool.clone(),
        "hs01.kep.test".into(),
    ));
    doors.pair.hs01.relay = Arc::new(Relay {
        db: old.db.clone(),
        clock: old.clock.clone(),
        ids: old.ids.clone(),
        organisations: old.organisations.clone(),
        identity: old.identity.clone(),
        carrier,
        bells: old.bells.clone(),
        busy: Default::default(),
    });
    let lines = ".satır\r\n..\r\n0123456789\r\n";
    for (subject, more) in [("Bir", 0), ("İki", 100_000), ("Üç", 1)] {
        let text =
            message(subject, ALICI).replace("ektedir.", &format!("ektedir.\r\n{}", lines.repeat(more)));
        doors
            .pair
            .hs01
            .submit("mudur@ornekas", &[ALICI], &text)
            .await
            .unwrap();
        doors.pair.work().await;
    }
    let received = doors.pair.hs02.items("alici");
    let incoming = received
        .iter()
        .filter(|i| i.kind == kepd::domain::item::ItemKind::Incoming)
        .count();
    assert_eq!(incoming, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn fates_of_an_attempt() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let blob = p.spool.store(message("Sahte", ALICI).as_bytes()).await.unwrap();
    let content = Content::whole(blob.id, blob.size_bytes);
    let out = RelayOut::new(p.spool.clone(), "hs01.kep.test".into());
    let good = doors.hs02_as(vec![tls_pin()], doors.relay);

    let fates = out
        .carry(&good, &outbound(content.clone(), &["kimse@hs02.kep.test", ALICI]))
        .await;
    assert!(
        matches!(&fates[0], Fate::UnknownRecipient(why) if why.starts_with("550 5.1.1 ")),
        "{fates:?}"
    );
    assert!(
        matches!(&fates[1], Fate::Never(why) if why.starts_with("550 5.7.1 ")),
        "{fates:?}"
    );
    // The same connection again: refused content leaves it ready.
    let fates = out
        .carry(&good, &outbound(content.clone(), &["kimse@hs02.kep.test"]))
        .await;
    assert!(matches!(&fates[..], [Fate::UnknownRecipient(_)]), "{fates:?}");

    // Content that no peer can be given ends at once, and says so.
    let blob = p.spool.store(b"Subject: x\r\n\r\na bare\nLF\r\n").await.unwrap();
    let damaged = Content::whole(blob.id, blob.size_bytes);
    let fates = out.carry(&good, &outbound(damaged, &[ALICI])).await;
    assert!(
        matches!(&fates[..], [Fate::Never(why)] if why.contains("our own content")),
        "{fates:?}"
    );

    for (pins, port, why) in [
        (vec![Fingerprint([0; 32])], doors.relay, "handshake"),
        (vec![], doors.relay, "pinned"),
        (vec![tls_pin()], 1, "refused"),
    ] {
        let fates = out
            .carry(&doors.hs02_as(pins, port), &outbound(content.clone(), &[ALICI]))
            .await;
        assert!(
            matches!(&fates[..], [Fate::Later(said)] if said.contains(why)),
            "{why}: {fates:?}"
        );
    }
}

/// A peer that takes `connections`, and `messages` over each; then it hangs up.
async fn peer_taking(connections: usize, messages: usize) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let peer = tokio::spawn(async move {
        for _ in 0..connections {
            let (stream, _) = listener.accept().await.unwrap();
            let mut lines = Lines(BufReader::new(stream));
            let hello = "250-peer\r\n250-8BITMIME\r\n250 STARTTLS\r\n";
            for reply in ["220 peer\r\n", hello, "220 go\r\n"] {
                lines.0.get_mut().write_all(reply.as_bytes()).await.unwrap();
                if reply != "220 go\r\n" {
                    lines.reply().await;
                }
            }
            let stream = tls().accept(lines.0.into_inner()).await.unwrap();
            let mut lines = Lines(BufReader::new(stream));
            lines.reply().await;
            lines.0.get_mut().write_all(hello.as_bytes()).await.unwrap();
            for _ in 0..messages {
                for reply in ["250 ok\r\n", "250 ok\r\n", "354 go\r\n"] {
                    lines.reply().await;
                    lines.0.get_mut().write_all(reply.as_bytes()).await.unwrap();
                }
                while lines.reply().await != "." {}
                lines.0.get_mut().write_all(b"250 2.0.0 taken\r\n").await.unwrap();
            }
        }
    });
    (port, peer)
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_replaced_when_they_died() {
    let doors = doors().await;
    let p = &doors.pair.hs01;
    let (port, peer) = peer_taking(2, 2).await;
    let blob = p.spool.store(message("Bir", ALICI).as_bytes()).await.unwrap();
    let content = Content::whole(blob.id, blob.size_bytes);
    let out = RelayOut::new(p.spool.clone(), "hs01.kep.test".into());
    let to = doors.hs02_as(vec![tls_pin()], port);
    for _ in 0..4 {
        let fates = out.carry(&to, &outbound(content.clone(), &[ALICI])).await;
        assert_eq!(fates, [Fate::Taken("250 2.0.0 taken".into())]);
    }
    peer.await.unwrap();
    let fates = out.carry(&to, &outbound(content, &[ALICI])).await;
    assert!(matches!(&fates[..], [Fate::Later(_)]), "{fates:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_not_waited_for_without_end() {
    let doors = doors().await;
    let silent = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
    let to = doors.hs02_as(vec![tls_pin()], silent.local_addr().unwrap().port());
    let out = RelayOut::new(doors.pair.hs01.spool.clone(), "hs01.kep.test".into());
    let out = out.with_patience(Duration::from_millis(50));
    let fates = out.carry(&to, &outbound(Content::default(), &[ALICI])).await;
    assert!(
        matches!(&fates[..], [Fate::Later(why)] if why.contains("no answer in time")),
        "{fates:?}"
    );
}
