//! Who plays: the lots, and everybody who works with them.

use super::super::session::create_lot;
use super::book::LEAD_SECONDS;
use super::driver::{Driver, Kept};
use super::gates::Gates;
use super::onlooker::Onlooker;
use super::sensors::Sensors;
use super::stage::{Phase, Stage};
use super::stays::ask::Answered;
use super::stays::{DESKS, Desk};
use super::watcher::{Look, Watcher};
use crate::encoder::Encoding;
use crate::error::LoadError;
use crate::fleet::{Fleet, Shard, slot_code};
use crate::http::HttpClient;
use crate::subscriber::Watched;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Drivers, onlookers.
const DRIVERS: usize = 6;
const ONLOOKERS: usize = 2;

/// What a player that ended leaves to be asked once more.
#[derive(Debug)]
pub enum Left {
    Nothing,
    OfDriver(usize, Vec<Kept>),
    OfDesk(Vec<Answered>),
}

/// Everybody at work.
#[derive(Debug)]
pub struct Cast {
    /// Those who write or read; they end when all that is open is settled.
    pub players: JoinSet<Left>,
    /// Those who watch; they end last.
    pub watchers: JoinSet<()>,
    pub slots_views: Vec<Arc<Watched>>,
    pub counts_views: Vec<Arc<Watched>>,
}

impl Cast {
    /// Everybody waits for the server.
    pub fn start(stage: &Arc<Stage>, phase: &watch::Sender<Phase>, ring_covers: u64) -> Self {
        let lots = stage.fleet.lots.len();
        let (counted, slots) = (lots - 1, stage.fleet.slots_per_lot);
        let mut cast = Self {
            players: JoinSet::new(),
            watchers: JoinSet::new(),
            slots_views: Vec::new(),
            counts_views: Vec::new(),
        };
        for number in 0..DRIVERS {
            let driver = Driver::new(number, DRIVERS, stage).run(phase.subscribe());
            cast.players.spawn(async move {
                let (number, kept) = driver.await;
                Left::OfDriver(number, kept)
            });
        }
        for number in 0..DESKS {
            let desk = Desk::new(number, stage).run(phase.subscribe());
            cast.players.spawn(async move { Left::OfDesk(desk.await) });
        }
        // Two fifths of every lot's slots to each socket, the rest to the device that speaks HTTP.
        let part = |from: usize, to: usize| -> Vec<Shard> {
            let slots = slots * from / 5..slots * to / 5;
            (0..lots).map(|lot| Shard { lot, slots: slots.clone() }).collect()
        };
        for (number, encoding, shards) in
            [(0, Encoding::Json, part(0, 2)), (1, Encoding::Binary, part(2, 4))]
        {
            let sensors = Sensors::new(number, encoding, shards, stage).run(phase.subscribe());
            cast.players.spawn(async move {
                sensors.await;
                Left::Nothing
            });
        }
        let gates = Gates::new(2, part(4, 5), counted, stage).run(phase.subscribe());
        cast.players.spawn(async move {
            gates.await;
            Left::Nothing
        });
        for number in 0..ONLOOKERS {
            let onlooker = Onlooker::new(number, counted, stage).run(phase.subscribe());
            cast.players.spawn(async move {
                onlooker.await;
                Left::Nothing
            });
        }
        cast.watch(stage, phase, ring_covers);
        cast
    }

    /// Every lot's slots, two bayed lots' counts.
    fn watch(&mut self, stage: &Arc<Stage>, phase: &watch::Sender<Phase>, ring_covers: u64) {
        let lots = stage.fleet.lots.len();
        let slots = (0..lots).map(|lot| (Look::Slots, lot));
        let counts = (0..lots - 1).take(2).map(|lot| (Look::Counts, lot));
        for (number, (look, lot)) in slots.chain(counts).enumerate() {
            let watched = Arc::new(Watched::new(lot, &stage.fleet.lots[lot].code));
            match look {
                Look::Slots => self.slots_views.push(Arc::clone(&watched)),
                Look::Counts => self.counts_views.push(Arc::clone(&watched)),
            }
            let stage = Arc::clone(stage);
            let watcher = Watcher { number, stage, look, watched, ring_covers };
            self.watchers.spawn(watcher.run(phase.subscribe()));
        }
    }
}

/// Makes the lots; the last one counts at its gates and has slots as well.
pub async fn make_lots(operator: &mut HttpClient, fleet: &Fleet) -> Result<(), LoadError> {
    let slots: Vec<String> = (0..fleet.slots_per_lot)
        .map(|slot| format!(r#"{{"code":"{}"}}"#, slot_code(slot)))
        .collect();
    let slots = slots.join(",");
    for (nth, lot) in fleet.lots.iter().enumerate() {
        let code = &lot.code;
        let is_counted = nth + 1 == fleet.lots.len();
        let kind = if is_counted { r#""counted","capacity":1000000"# } else { r#""bayed""# };
        let body = format!(
            r#"{{"code":"{code}","name":"Crash test {code}","kind":{kind},"rules":{{"hold_lead_seconds":{LEAD_SECONDS}}},"slots":[{slots}]}}"#
        );
        create_lot(operator, code, body).await?;
    }
    Ok(())
}
