//! Signatures that an account demands, where nobody could judge them.

use super::*;

#[tokio::test]
async fn what_nobody_could_judge_is_not_demanded() {
    let r = run().await;
    for line in ["tenant|add|ornekas", "officer|add|mudur@ornekas"] {
        done(&r, line).await;
    }
    for demand in ["author", "officer"] {
        let why = refused(&r, &format!("tenant|set|ornekas|--signature|{demand}")).await;
        assert!(why.contains("[persons] trust"), "{why}");
    }
    done(&r, "tenant|set|ornekas|--signature|none").await;
    let job = "00000000-0000-0000-0000-000000000001";
    let out = r._dir.path().join("entity");
    let ask = format!("job|entity|{job}|--out|{}|--as|mudur@ornekas", out.display());
    let why = refused(&r, &ask).await;
    assert!(why.contains("does not ask its officers to sign"), "{why}");
    assert!(!out.exists());
}
