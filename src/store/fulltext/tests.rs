//! The index says what a scan of the same texts says; it survives damage, loss and crashes by beginning anew.

use super::cutting::{is_short, pieces};
use super::files::FIELD_COUNT;
use super::*;
use crate::domain::folding::plain_fold;
use crate::domain::needle::Letters;
use crate::store::db::EngineKind;
use crate::store::probe::NoProbe;
use proptest::prelude::*;
use std::future::Future;

const TENANT: TenantId = TenantId(7);
/// The most passages of one field.
const PASSAGES: usize = 3;

struct Place {
    dir: tempfile::TempDir,
    db: Arc<dyn Db>,
    fulltext: Arc<Fulltext>,
    runtime: tokio::runtime::Runtime,
}

type Doc = [Vec<String>; FIELD_COUNT];

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let db =
            crate::store::db::open(EngineKind::Fjall, &dir.path().join("store"), Arc::new(NoProbe)).unwrap();
        let fulltext = Fulltext::open(&dir.path().join("fulltext"), db.clone(), 1).unwrap();
        Self {
            dir,
            db,
            fulltext,
            runtime,
        }
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// As after a restart.
    fn reopen(&mut self) {
        self.fulltext = Fulltext::open(&self.dir.path().join("fulltext"), self.db.clone(), 1).unwrap();
    }

    fn add(&self, docs: &[(u64, &Doc)], caught_up: u64) -> Result<(), FulltextError> {
        let mut writing = Writing::begin(&self.fulltext, TENANT).unwrap();
        for (item, doc) in docs {
            for field in Field::ALL {
                doc[field.index()]
                    .iter()
                    .for_each(|text| assert!(writing.passage(field, text)));
            }
            writing.keep(ItemId(*item));
        }
        self.wait(writing.commit(ModSeq(caught_up)))
    }

    fn join(&self) -> bool {
        let writing = Writing::begin(&self.fulltext, TENANT).unwrap();
        self.wait(writing.join(|| true)).unwrap()
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.fulltext.snapshot(TENANT).unwrap()
    }

    fn segments(&self) -> usize {
        row::read(&*self.db, TENANT)
            .unwrap()
            .map_or(0, |s| s.row.segments.len())
    }

    /// Files of the tenant, with their sizes.
    fn files(&self) -> Vec<(PathBuf, u64)> {
        let all = std::fs::read_dir(self.fulltext.folder(TENANT)).unwrap();
        let mut all: Vec<_> = all
            .map(|e| e.unwrap())
            .map(|e| (e.path(), e.metadata().unwrap().len()))
            .collect();
        all.sort();
        all
    }
}

fn turkish(text: &str) -> Wanted {
    Wanted::turkish(text)
}

fn doc(header: &str, body: &str) -> Doc {
    [vec![header.to_owned()], vec![], vec![body.to_owned()], vec![]]
}

/// Items in whose field a text stands, by looking.
fn scan(docs: &[(u64, Doc)], field: Field, text: &str, letters: Letters) -> Vec<u64> {
    let plain = matches!(field, Field::HeaderPlain | Field::BodyPlain) || letters == Letters::AnyI;
    let holds = |passage: &String| match plain {
        true => plain_fold(passage).contains(&plain_fold(text)),
        false => passage.contains(text),
    };
    let holds = |doc: &Doc| doc[field.index()].iter().any(holds);
    let mut found: Vec<u64> = docs
        .iter()
        .filter(|(_, doc)| holds(doc))
        .map(|(item, _)| *item)
        .collect();
    found.sort_unstable();
    found
}

fn numbers(set: &ItemSet) -> Vec<u64> {
    (0..4096).filter(|n| set.contains(ItemId(*n))).collect()
}

/// Holds one answer against a scan.
fn check(
    snapshot: &Snapshot,
    docs: &[(u64, Doc)],
    field: Field,
    text: &str,
    letters: Letters,
) -> Result<(), TestCaseError> {
    let hits = snapshot.find(field, &Wanted::new(text, letters)).unwrap();
    let (sure, unsure) = (numbers(&hits.sure), numbers(&hits.unsure));
    let right = scan(docs, field, text, letters);
    prop_assert!(
        sure.iter().all(|n| right.contains(n)),
        "{:?}: found {:?}, right is {:?}",
        text,
        sure,
        right
    );
    prop_assert!(
        right.iter().all(|n| sure.contains(n) || unsure.contains(n)),
        "{:?}: found {:?} and perhaps {:?}, right is {:?}",
        text,
        sure,
        unsure,
        right
    );
    if pieces(text).all(is_short) {
        prop_assert_eq!(unsure, Vec::<u64>::new(), "{:?} can be decided", text);
    }
    Ok(())
}

fn passage() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[abıi@. ]{0,24}",
        2 => "(ab|ba|ı|i| |, |\r\n){0,30}",
        1 => "[abi]{60,140}[ .]{0,3}[ab]{0,5}",
        1 => "[ab]{0,40}[. ]{30,80}[ab]{0,40}",
    ]
}

fn docs() -> impl Strategy<Value = Vec<(u64, Doc)>> {
    let field = || proptest::collection::vec(passage(), 0..PASSAGES);
    let plain = || field().prop_map(|texts| texts.iter().map(|text| plain_fold(text)).collect());
    let one = (field(), plain(), field(), plain()).prop_map(<[_; FIELD_COUNT]>::from);
    proptest::collection::vec(one, 1..24)
        .prop_flat_map(|docs| {
            let items: Vec<u64> = (1..=docs.len() as u64).map(|n| n * 37 % 1009).collect();
            (Just(docs), Just(items).prop_shuffle())
        })
        .prop_map(|(docs, items)| items.into_iter().zip(docs).collect())
}

/// Texts to look for: runs of what is there, and others.
fn wanted(docs: &[(u64, Doc)], picks: &[(usize, usize, usize)]) -> Vec<String> {
    let all: Vec<&String> = docs.iter().flat_map(|(_, doc)| doc.iter().flatten()).collect();
    let cut = |(which, from, length): &(usize, usize, usize)| {
        let text = all.get(which % all.len().max(1))?;
        let count = text.chars().count().max(1);
        Some(text.chars().skip(from % count).take(*length).collect::<String>())
    };
    picks
        .iter()
        .filter_map(cut)
        .filter(|text| !text.is_empty())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_index_says_what_a_scan_says(
        docs in docs(),
        batch in 1usize..5,
        picks in proptest::collection::vec((any::<usize>(), any::<usize>(), 1usize..60), 40),
        others in proptest::collection::vec("[abıi@. ]{1,6}", 20),
    ) {
        let mut place = Place::new();
        let mut wanted = wanted(&docs, &picks);
        wanted.extend(others);
        let mut joined = 0;
        for (n, some) in docs.chunks(batch).enumerate() {
            let some: Vec<_> = some.iter().map(|(item, doc)| (*item, doc)).collect();
            place.add(&some, n as u64 + 1).unwrap();
            joined += usize::from(place.join());
        }
        prop_assert_eq!(joined > 0, docs.len().div_ceil(batch) >= 6);
        place.reopen();
        let snapshot = place.snapshot().unwrap();
        prop_assert_eq!(snapshot.covered().len(), docs.len());
        for text in &wanted {
            for field in Field::ALL {
                check(&snapshot, &docs, field, text, Letters::Turkish)?;
                check(&snapshot, &docs, field, text, Letters::AnyI)?;
            }
        }
    }
}

#[test]
fn words_of_one_field_are_not_found_in_the_other() {
    let place = Place::new();
    place.add(&[(5, &doc("konu teklif", "gövde"))], 1).unwrap();
    let snapshot = place.snapshot().unwrap();
    assert!(
        snapshot
            .find(Field::HeaderWords, &turkish("teklif"))
            .unwrap()
            .sure
            .contains(ItemId(5))
    );
    assert!(
        snapshot
            .find(Field::BodyWords, &turkish("teklif"))
            .unwrap()
            .sure
            .is_empty()
    );
}

#[test]
fn a_term_that_all_have_is_written_shorter() {
    let place = Place::new();
    let docs: Vec<(u64, Doc)> = (0..500)
        .map(|n| (n, doc("", &format!("sayın {n} bey"))))
        .collect();
    let refs: Vec<_> = docs.iter().map(|(item, doc)| (*item, doc)).collect();
    place.add(&refs, 1).unwrap();
    let snapshot = place.snapshot().unwrap();
    for text in ["sayın", "ı", "sayın 7", " 4", "42 bey", "bey sayın"] {
        check(&snapshot, &docs, Field::BodyWords, text, Letters::Turkish).unwrap();
    }
}

#[test]
fn long_texts_are_left_to_who_reads() {
    let place = Place::new();
    let long = "x".repeat(70);
    let docs = [(1, doc("", &format!("a {long} b"))), (2, doc("", "a x b"))];
    place.add(&[(1, &docs[0].1), (2, &docs[1].1)], 1).unwrap();
    let snapshot = place.snapshot().unwrap();
    let hits = snapshot
        .find(Field::BodyWords, &turkish(&format!("a {long}")))
        .unwrap();
    assert_eq!((numbers(&hits.sure), numbers(&hits.unsure)), (vec![], vec![1]));
    let sentence = "kısa bir söz ".repeat(40);
    place.add(&[(3, &doc("", &sentence))], 2).unwrap();
    let hits = place
        .snapshot()
        .unwrap()
        .find(Field::BodyWords, &turkish(&sentence))
        .unwrap();
    assert_eq!((numbers(&hits.sure), numbers(&hits.unsure)), (vec![], vec![3]));
}

#[test]
fn damage_is_noticed_and_the_index_made_anew() {
    let mut place = Place::new();
    let text = [
        "konu bir iki",
        "ikinci kez",
        "işbu sözleşme ikinci kez",
        "konu bir",
    ];
    let text = text.map(|text| vec![text.to_owned()]);
    // Every file is damaged in turn, in its middle.
    place.add(&[(1, &text)], 1).unwrap();
    for at in 0..place.files().len() {
        let (path, size) = place.files()[at].clone();
        let mut octets = std::fs::read(&path).unwrap();
        if size == 0 {
            continue;
        }
        octets[size as usize / 2] ^= 1;
        std::fs::write(&path, octets).unwrap();
        place.reopen();
        let wanted = ["konu bir", "bir iki", "iki", "işbu sözleşme", "ikinci kez", "kez"];
        let noticed = match place.fulltext.snapshot(TENANT) {
            Err(error) => {
                assert!(error.is_damage(), "{error}");
                true
            }
            Ok(snapshot) => {
                let snapshot = snapshot.unwrap();
                let ask = |text: &&str| Field::ALL.map(|field| snapshot.find(field, &turkish(text)));
                let errors: Vec<_> = wanted.iter().flat_map(ask).filter_map(Result::err).collect();
                errors
                    .iter()
                    .for_each(|error| assert!(!place.fulltext.failed(&snapshot, error)));
                !errors.is_empty()
            }
        };
        assert!(noticed, "{}", path.display());
        assert!(place.snapshot().is_none(), "it is not used any more");
        let writing = Writing::begin(&place.fulltext, TENANT).unwrap();
        assert_eq!((writing.caught_up(), writing.has(ItemId(1))), (ModSeq(0), false));
        place.add(&[(1, &text)], 1).unwrap();
        Writing::begin(&place.fulltext, TENANT).unwrap().sweep().unwrap();
        let snapshot = place.snapshot().unwrap();
        for text in wanted {
            let hits = Field::ALL.map(|field| {
                snapshot
                    .find(field, &turkish(text))
                    .unwrap()
                    .sure
                    .contains(ItemId(1))
            });
            assert!(hits.contains(&true), "{text}");
        }
    }
}

#[test]
fn a_lost_folder_begins_anew_and_what_nobody_names_is_swept() {
    let mut place = Place::new();
    place.add(&[(1, &doc("a", "b"))], 9).unwrap();
    std::fs::remove_dir_all(place.fulltext.folder(TENANT)).unwrap();
    place.reopen();
    assert!(place.fulltext.snapshot(TENANT).is_err());
    assert_eq!(
        Writing::begin(&place.fulltext, TENANT).unwrap().caught_up(),
        ModSeq(0)
    );
    place.add(&[(1, &doc("a", "b"))], 9).unwrap();
    let good = place.files();
    std::fs::write(
        place.fulltext.folder(TENANT).join("0000000099.head"),
        "left by a crash",
    )
    .unwrap();
    Writing::begin(&place.fulltext, TENANT).unwrap().sweep().unwrap();
    assert_eq!(place.files(), good);
}

#[test]
fn of_two_writers_one_is_refused_and_nothing_is_doubled() {
    let place = Place::new();
    let text = doc("a", "b");
    let mut slow = Writing::begin(&place.fulltext, TENANT).unwrap();
    assert!(slow.passage(Field::BodyWords, "b"));
    slow.keep(ItemId(1));
    place.add(&[(1, &text)], 4).unwrap();
    assert!(matches!(
        place.wait(slow.commit(ModSeq(4))),
        Err(FulltextError::Changed)
    ));
    assert_eq!(place.segments(), 1);
    assert!(place.snapshot().unwrap().covered().contains(ItemId(1)));
}

#[test]
fn joining_can_be_told_to_stop_and_readers_go_on() {
    let place = Place::new();
    let words: String = (0..9000).map(|n| format!("s{n} ")).collect();
    for n in 1..=6 {
        place.add(&[(n, &doc("", &format!("{words} d{n}")))], n).unwrap();
    }
    let before = place.snapshot().unwrap();
    let writing = Writing::begin(&place.fulltext, TENANT).unwrap();
    assert!(!place.wait(writing.join(|| false)).unwrap());
    assert_eq!(place.segments(), 6);
    assert!(place.join());
    assert_eq!(place.segments(), 1);
    // Whoever holds the old one is told to ask anew.
    let error = before.find(Field::BodyWords, &turkish("d3")).unwrap_err();
    assert!(place.fulltext.failed(&before, &error));
    let now = place.snapshot().unwrap();
    assert_eq!(
        numbers(&now.find(Field::BodyWords, &turkish("d3")).unwrap().sure),
        [3]
    );
    assert_eq!(
        numbers(&now.find(Field::BodyWords, &turkish("s8999")).unwrap().sure),
        [1, 2, 3, 4, 5, 6]
    );
}

#[test]
fn an_index_of_another_making_is_not_used() {
    let mut place = Place::new();
    place.add(&[(1, &doc("a", "b"))], 3).unwrap();
    place.fulltext = Fulltext::open(&place.dir.path().join("fulltext"), place.db.clone(), 2).unwrap();
    assert!(place.snapshot().is_none());
    assert_eq!(
        Writing::begin(&place.fulltext, TENANT).unwrap().caught_up(),
        ModSeq(0)
    );
}

/// A long item is several documents; what stands across their borders is found, and what stands in none is not.
#[test]
fn a_text_of_many_megabytes_is_found_whole() {
    let place = Place::new();
    let numbers: Vec<String> = (0..700_000).map(|n| format!("{:03} ", n % 997)).collect();
    let mut long = numbers.concat();
    let phrase = |n: usize| format!("başka söz {n} yok");
    for (n, octets) in [
        (1, 2 * 1024 * 1024 - 9),
        (2, 1024 * 1024),
        (3, 2 * 1024 * 1024 + 700),
    ] {
        let at = long.floor_char_boundary(octets);
        long.insert_str(at, &phrase(n));
    }
    long.push_str(&phrase(4));
    let docs = [(1, doc("", &long)), (2, doc("", "kısa"))];
    place.add(&[(1, &docs[0].1), (2, &docs[1].1)], 1).unwrap();
    let snapshot = place.snapshot().unwrap();
    assert_eq!(snapshot.covered().len(), 2);
    for text in (1..=4)
        .map(phrase)
        .chain(["996 000".into(), "996 001".into(), "000 kısa".into()])
    {
        check(&snapshot, &docs, Field::BodyWords, &text, Letters::AnyI).unwrap();
    }
}

/// What one mail may cost is bounded: the item is given up, and who searches reads it.
#[test]
fn an_item_of_too_many_words_is_given_up() {
    let place = Place::new();
    let mut writing = Writing::begin(&place.fulltext, TENANT).unwrap();
    let words = |from: u32| {
        (from..from + 300_000)
            .map(|n| format!("{n:x} "))
            .collect::<String>()
    };
    assert!(!(0..8).all(|n| writing.passage(Field::BodyWords, &words(n * 300_000))));
    writing.forget();
    assert!(writing.passage(Field::BodyWords, "kısa"));
    writing.keep(ItemId(2));
    place.wait(writing.commit(ModSeq(1))).unwrap();
    let snapshot = place.snapshot().unwrap();
    assert_eq!(
        numbers(&snapshot.find(Field::BodyWords, &turkish("kısa")).unwrap().sure),
        [2]
    );
    assert_eq!(snapshot.covered().len(), 1);
}
