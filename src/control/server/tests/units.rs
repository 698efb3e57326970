//! Units moved, merged and ended by `kepctl`: who sees what afterwards, and what cannot be.

use super::*;

#[tokio::test]
async fn a_unit_that_ends_leaves_what_it_had_to_another() {
    use crate::domain::org::Audience;
    use std::collections::BTreeSet;
    let r = run().await;
    done(&r, "tenant|add|ornekas").await;
    for unit in ["A", "B"] {
        done(&r, &format!("unit|add|ornekas|{unit}")).await;
    }
    done(&r, "unit|add|ornekas|C|--parent|A").await;
    done(&r, "unit|add|ornekas|D|--parent|C").await;
    done(&r, "role|add|ornekas|Okur|--permit|view").await;
    done(&r, "user|add|memur@ornekas|--unit|C|--role|Okur").await;
    done(&r, "user|add|sef@ornekas|--unit|B|--role|Okur").await;
    let org = || r.door.organisations.by_name("ornekas").unwrap();
    let units_of = |name: &str| {
        let org = org();
        let user = org.user_by_name(name).unwrap();
        match org.audience(user, UtcTime::from_unix_s(0)) {
            Audience::Limited { units, .. } => units,
            Audience::Tenant => panic!("{name} is an officer"),
        }
    };
    let (c, d) = (
        org().unit_by_path("A/C").unwrap().id,
        org().unit_by_path("A/C/D").unwrap().id,
    );
    // Nothing stands under itself; names of siblings differ by more than an i.
    done(&r, "unit|add|ornekas|IĞDIR|--parent|B").await;
    let before = org().version;
    for (words, why) in [
        ("unit|move|ornekas|A|--under|A/C/D", "cannot stand under itself"),
        ("unit|move|ornekas|A|--under|A", "cannot stand under itself"),
        ("unit|merge|ornekas|A|A/C", "below it"),
        ("unit|add|ornekas|iğdir|--parent|B", "already"),
        ("unit|rename|ornekas|B/IĞDIR|x/y", "a name has"),
        ("unit|remove|ornekas|Aa", "did you mean \"A\""),
    ] {
        let said = refused(&r, words).await;
        assert!(said.contains(why), "{words}: {said}");
    }
    assert_eq!(org().version, before);
    done(&r, "unit|move|ornekas|A/C|--under|B").await;
    assert!(units_of("sef").is_superset(&BTreeSet::from([c, d])));
    let ended = done(&r, "unit|remove|ornekas|B/C").await;
    assert_eq!(ended.value("into").unwrap(), "B");
    // The mail of C is seen by those who see B, its member among them; D has moved up.
    for who in ["sef", "memur"] {
        assert!(units_of(who).is_superset(&BTreeSet::from([c, d])), "{who}");
    }
    assert_eq!(org().unit_path(d), "B/D");
    assert!(org().unit_by_path("C").is_none());
    // At the top nothing takes its place.
    let said = refused(&r, "unit|remove|ornekas|B").await;
    assert!(said.contains("memur") && said.contains("--into"), "{said}");
    done(&r, "unit|merge|ornekas|B|A").await;
    assert!(units_of("memur").is_superset(&BTreeSet::from([c, d])));
}
