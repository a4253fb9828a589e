//! Data files of the replay: a row that cannot be read costs that row, never the process.

use lotkeeper_gateway::replay::{Context, Fault, Format, Item, Rows};

use crate::{Target, bounded, said};

/// Rows, a plan of lots and slots, and the buffers of the CSV reader.
const FIXED_BYTES: u64 = 512 * 1024;
/// A bay that is named for the first time takes a slot of the plan.
const PER_BYTE: u64 = 128;

/// Melbourne, 2016.
pub const MELBOURNE_2016: Target = Target {
    name: "melbourne_2016",
    run: |bytes| rows(bytes, Format::Melbourne2016),
    seeds: || {
        vec![include_bytes!("../../../gateway/tests/fixtures/replay/melbourne-2016.csv").to_vec()]
    },
    words: &["arrive", "depart", "2016-11-07T00:35:00", "\"", ","],
};
/// Melbourne, 2025, both shapes.
pub const MELBOURNE_2025: Target = Target {
    name: "melbourne_2025",
    run: |bytes| rows(bytes, Format::Melbourne2025),
    seeds: || {
        vec![
            include_bytes!("../../../gateway/tests/fixtures/replay/last_events.csv").to_vec(),
            include_bytes!("../../../gateway/tests/fixtures/replay/snapshot_20250807T013939Z.csv")
                .to_vec(),
        ]
    },
    words: &["Present", "Unoccupied", "2025-08-07T01:39:39Z", "\"-37.8, 144.9\"", ","],
};
/// Bath.
pub const BATH: Target = Target {
    name: "bath",
    run: |bytes| rows(bytes, Format::Bath),
    seeds: || vec![include_bytes!("../../../gateway/tests/fixtures/replay/bath.csv").to_vec()],
    words: &["\"", ",", "01/01/2015 00:00:00", "100.0"],
};

fn rows(bytes: &[u8], format: Format) {
    let context = Context {
        file_instant: jiff::Timestamp::from_second(1_754_530_779).ok(),
        ..Context::default()
    };
    let mut rows =
        match bounded(bytes, FIXED_BYTES, PER_BYTE, || Rows::new(bytes, format, &context)) {
            Ok(rows) => rows,
            Err(error) => return assert!(!error.to_string().is_empty()),
        };
    bounded(bytes, FIXED_BYTES, PER_BYTE, || {
        // As many rows as bytes at most: a reader that stands still would go on for ever.
        for (number, row) in rows.by_ref().enumerate() {
            assert!(number <= bytes.len(), "more rows than bytes");
            match row {
                Ok(row) => {
                    if let Item::Skipped(Fault::Malformed(reason)) = row.item {
                        assert!(!reason.is_empty());
                    }
                }
                Err(error) => {
                    said(&error.to_string());
                    break;
                }
            }
        }
    });
    let _plan = rows.into_plan();
}
