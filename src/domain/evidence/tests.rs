//! The vocabulary against the tables of TS 102 640-2, and its readings of foreign spellings.

use super::*;

#[test]
fn every_pair_is_legal_or_not_and_says_so() {
    let mut legal = Vec::new();
    for kind in EvidenceKind::ALL {
        assert_eq!(EvidenceKind::from_element_name(kind.element_name()), Some(kind));
        for event in Event::ALL {
            let expected = match kind {
                K::SubmissionAcceptanceRejection
                | K::RelayREMMDAcceptanceRejection
                | K::AcceptanceRejectionByRecipient
                | K::RelayToNonREMSystem
                | K::ReceivedFromNonREMSystem => matches!(event, E::Acceptance | E::Rejection),
                K::RelayREMMDFailure => event == E::DeliveryExpiration,
                K::DeliveryNonDeliveryToRecipient => {
                    matches!(event, E::Delivery | E::NonDelivery | E::DeliveryExpiration)
                }
                K::DownloadNonDownloadByRecipient => matches!(event, E::Download | E::DownloadExpiration),
                K::RetrievalNonRetrievalByRecipient => {
                    matches!(event, E::Retrieval | E::RetrievalExpiration)
                }
            };
            assert_eq!(is_legal(kind, event), expected, "{kind:?} {event:?}");
            if expected {
                legal.push((kind, event));
            } else {
                assert_eq!(ptt_type_id(kind, event), None);
                assert_eq!(erds_event_uri(kind, event), None);
            }
        }
    }
    assert_eq!(legal.len(), legal_pairs().count());
}

#[test]
fn event_literals_and_their_variants() {
    assert_eq!(E::Delivery.uri(), "http:uri.etsi.org/02640/Event#Delivery");
    for event in Event::ALL {
        for head in ["http:", "http://"] {
            for path in ["02640", "REM"] {
                let uri = format!("{head}uri.etsi.org/{path}/Event#{}", event.fragment());
                assert_eq!(Event::from_uri(&uri), Some(event), "{uri}");
            }
        }
    }
    for bad in [
        "",
        "Delivery",
        "http:uri.etsi.org/02640/Event#delivery",
        "http://x/02640/Event#Delivery",
    ] {
        assert_eq!(Event::from_uri(bad), None, "{bad}");
    }
}

#[test]
fn reasons_are_numbered_one_to_twenty_two() {
    let codes: Vec<u8> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes, (1..=22).collect::<Vec<u8>>());
    for reason in Reason::ALL {
        assert_eq!(Reason::from_uri(&reason.uri()), Some(*reason));
        assert_eq!(
            Reason::from_uri(&reason.uri().replace("http:", "http://")),
            Some(*reason)
        );
    }
    assert_eq!(Reason::from_code(23), None);
    assert_eq!(
        Reason::from_uri("http:uri.etsi.org/REM/EventReason#R_REMMD_NotIdenified"),
        Some(Reason::PeerNotIdentified)
    );
    assert_eq!(
        Reason::AttachmentFormatNotAccepted.uri(),
        "http:uri.etsi.org/REM/EventReason#AttachementFormatNotAccepted"
    );
}
