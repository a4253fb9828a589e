//! Every question is answered as a walk over everything would: each one once, in order, whatever the page's size.

use lotkeeper_engine::ids::Reference;
use lotkeeper_engine::lot::session::State;
use lotkeeper_engine::lot::{Reservation, Session};
use lotkeeper_engine::time::Seconds;
use lotkeeper_storage::history::{Listed, Phase, Query};

use super::common::START;
use super::town::{A, B, Town, all, holder, vehicle};
use super::{follow, log_of, opened};

/// The answer of a walk.
fn walked<D: Listed>(
    documents: &[(lotkeeper_engine::ids::LotKey, std::sync::Arc<D>)],
    query: &Query<D>,
) -> Vec<uuid::Uuid> {
    let matching = documents.iter().filter(|(lot, document)| query.admits(*lot, document));
    let mut positions: Vec<_> = matching.map(|(_, document)| document.position()).collect();
    positions.sort();
    positions.iter().map(lotkeeper_storage::history::Position::id).collect()
}

#[test]
fn every_question_about_stays() {
    let town = Town::of(1_500);
    let log = log_of(&town.records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    follow(&history, &log, 600);
    let lots = town.author.lots.iter();
    let known: Vec<_> = lots
        .flat_map(|(lot, state)| state.lot.stays().all().map(|session| (*lot, session.clone())))
        .collect();
    let everything = Query::<Session>::of("city", 50);
    let with_ticket = known[known.len() / 2].1.reference();
    let of_reservation = known.iter().find_map(|(_, session)| session.reservation()).unwrap();
    let (early, late) = (START.plus(Seconds(100)), START.plus(Seconds(400)));
    let queries = [
        everything.clone(),
        Query { lots: Some(vec![A]), ..everything.clone() },
        Query { lots: Some(vec![B, A]), ..everything.clone() },
        Query { lots: Some(Vec::new()), ..everything.clone() },
        Query { states: vec![State::Inside], ..everything.clone() },
        Query { states: vec![State::Left, State::Overstaying], ..everything.clone() },
        Query { states: vec![State::Inside], lots: Some(vec![B]), ..everything.clone() },
        Query { holder: Some(holder(3)), ..everything.clone() },
        Query { vehicles: Some(vec![vehicle(3)]), ..everything.clone() },
        Query { vehicles: Some(vec![vehicle(3), vehicle(4)]), ..everything.clone() },
        Query { vehicles: Some(Vec::new()), ..everything.clone() },
        Query { reference: Some(with_ticket), ..everything.clone() },
        Query { reservation: Some(of_reservation), ..everything.clone() },
        Query { from: Some(early), to: Some(late), ..everything.clone() },
        Query { from: Some(late), to: Some(early), ..everything.clone() },
        Query { from: Some(early), states: vec![State::Left], ..everything },
    ];
    for (number, query) in queries.into_iter().enumerate() {
        let wanted = walked(&known, &query);
        for limit in [1, 7, 500] {
            let found = all(&history, Query { limit, ..query.clone() });
            let found: Vec<_> = found.iter().map(|session| session.id.0).collect();
            assert_eq!(found, wanted, "question {number}, {limit} on a page");
        }
    }
    assert_eq!(all(&history, Query::<Session>::of("village", 5)).len(), 0);
}

#[test]
fn every_question_about_reservations() {
    let town = Town::of(1_500);
    let log = log_of(&town.records);
    let dir = tempfile::tempdir().unwrap();
    let history = opened(dir.path(), &log);
    follow(&history, &log, 600);
    let lots = town.author.lots.iter();
    let known: Vec<_> = lots
        .flat_map(|(lot, state)| state.lot.reservations().map(|one| (*lot, one.clone())))
        .collect();
    let everything = Query::<Reservation>::of("city", 50);
    let some = known[known.len() / 3].1.id;
    let queries = [
        everything.clone(),
        Query { lots: Some(vec![B]), ..everything.clone() },
        Query { holder: Some(holder(2)), ..everything.clone() },
        Query { holder: Some(holder(2)), states: vec![Phase::Cancelled], ..everything.clone() },
        Query { states: vec![Phase::Held, Phase::NoShow], ..everything.clone() },
        Query { vehicles: Some(vec![vehicle(5)]), ..everything.clone() },
        Query { reference: Some(Reference::of(some.0)), ..everything.clone() },
        Query { reservation: Some(some), ..everything },
    ];
    for (number, query) in queries.into_iter().enumerate() {
        let wanted = walked(&known, &query);
        assert!(!wanted.is_empty(), "question {number} is about nothing");
        for limit in [1, 7, 500] {
            let found = all(&history, Query { limit, ..query.clone() });
            let found: Vec<_> = found.iter().map(|one| one.id.0).collect();
            assert_eq!(found, wanted, "question {number}, {limit} on a page");
        }
    }
}
