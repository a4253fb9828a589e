//! From bytes to rows: the one iterator all formats come out of.
//!
//! [`Rows`] is pure: no clock, no network, the same bytes give the same rows. A field that cannot
//! be read costs its row ([`Fault::Malformed`]); only a wrong header or a broken file (a torn
//! gzip stream) ends the reading.

use std::io::Read;

use csv::StringRecord;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::bath::{self, Bath};
use super::error::FileError;
use super::item::{Fault, Item, Notes, Row};
use super::melbourne_2016::{self, Melbourne2016};
use super::melbourne_2025::{self, Melbourne2025, Shape};
use super::options::Format;
use super::plan::{BATH, City, MELBOURNE, Plan};

/// What a format needs to know besides the bytes.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// How far an observation may lie after its upload (Bath).
    pub skew: SignedDuration,
    /// From which age a sensor is dead (Melbourne 2025).
    pub dead_after: SignedDuration,
    /// When the file was made, where its rows do not say (Melbourne 2025 snapshots).
    pub file_instant: Option<Timestamp>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            skew: SignedDuration::from_secs(super::options::SKEW_SECONDS_DEFAULT.into()),
            dead_after: SignedDuration::from_hours(
                24 * i64::from(super::options::DEAD_AFTER_DAYS_DEFAULT),
            ),
            file_instant: None,
        }
    }
}

/// The rows of a file, in file order.
pub struct Rows<R> {
    csv: csv::Reader<R>,
    parser: Parser,
    plan: Plan,
    record: StringRecord,
}

impl<R: Read> Rows<R> {
    /// Reads the header and picks the parser; `reader` gives the uncompressed file.
    pub fn new(reader: R, format: Format, context: &Context) -> Result<Self, FileError> {
        // Flexible: a row with a missing field is that row's fault, not the end of the file.
        let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let parser = Parser::for_header(format, csv.headers()?, context)?;
        Ok(Self { csv, parser, plan: Plan::default(), record: StringRecord::new() })
    }

    /// The lots and slots of the rows read so far.
    pub fn into_plan(self) -> Plan {
        self.plan
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.csv.position().line();
        let (line, parsed) = match self.csv.read_record(&mut self.record) {
            Ok(false) => return None,
            Ok(true) => (
                self.record.position().map_or(line, csv::Position::line),
                self.parser.parse(&self.record, &mut self.plan),
            ),
            Err(error) if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) => {
                (line, Err("the row is not UTF-8".to_owned()))
            }
            Err(error) => return Some(Err(error.into())),
        };
        let parsed = parsed.unwrap_or_else(|reason| Parsed {
            clock: None,
            item: Item::Skipped(Fault::Malformed(reason)),
            notes: Notes::default(),
        });
        Some(Ok(Row { line, clock: parsed.clock, item: parsed.item, notes: parsed.notes }))
    }
}

/// What a format makes of one record.
#[derive(Debug)]
pub(super) struct Parsed {
    pub clock: Option<Timestamp>,
    pub item: Item,
    pub notes: Notes,
}

#[derive(Debug)]
enum Parser {
    Melbourne2016(Melbourne2016),
    Melbourne2025(Melbourne2025),
    Bath(Bath),
}

impl Parser {
    fn for_header(
        format: Format,
        header: &StringRecord,
        context: &Context,
    ) -> Result<Self, FileError> {
        let wrong = |expected: &[&[&str]]| FileError::Header {
            format,
            expected: expected.iter().map(|names| names.join(",")).collect::<Vec<_>>().join(" or "),
            found: header.iter().collect::<Vec<_>>().join(","),
        };
        match format {
            Format::Melbourne2016 => {
                let names = melbourne_2016::HEADER;
                let columns = Columns::find(header, names).ok_or_else(|| wrong(&[&names]))?;
                Ok(Self::Melbourne2016(Melbourne2016::new(columns, zone(&MELBOURNE)?)))
            }
            Format::Melbourne2025 => {
                let (snapshot, events) =
                    (melbourne_2025::SNAPSHOT_HEADER, melbourne_2025::EVENTS_HEADER);
                let shape = Columns::find(header, events)
                    .map(Shape::Events)
                    .or_else(|| Columns::find(header, snapshot).map(Shape::Snapshot))
                    .ok_or_else(|| wrong(&[&snapshot, &events]))?;
                Ok(Self::Melbourne2025(Melbourne2025::new(
                    shape,
                    context.dead_after,
                    context.file_instant,
                )))
            }
            Format::Bath => {
                let names = bath::HEADER;
                let columns = Columns::find(header, names).ok_or_else(|| wrong(&[&names]))?;
                Ok(Self::Bath(Bath::new(columns, zone(&BATH)?, context.skew)))
            }
        }
    }

    fn parse(&mut self, record: &StringRecord, plan: &mut Plan) -> Result<Parsed, String> {
        match self {
            Self::Melbourne2016(format) => format.parse(record, plan),
            Self::Melbourne2025(format) => format.parse(record, plan),
            Self::Bath(format) => format.parse(record, plan),
        }
    }
}

/// Where a format's columns are; files may have more of them, in any order.
#[derive(Debug)]
pub(super) struct Columns<const N: usize> {
    names: [&'static str; N],
    places: [usize; N],
}

impl<const N: usize> Columns<N> {
    fn find(header: &StringRecord, names: [&'static str; N]) -> Option<Self> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            *place = header.iter().position(|column| column.trim() == name)?;
        }
        Some(Self { names, places })
    }

    /// The fields in the order of the names, without surrounding blanks.
    pub(super) fn of<'a>(&self, record: &'a StringRecord) -> Result<[&'a str; N], String> {
        let mut fields = [""; N];
        for ((field, place), name) in fields.iter_mut().zip(self.places).zip(self.names) {
            *field = record
                .get(place)
                .ok_or_else(|| format!("{name} is missing: the row has {} fields", record.len()))?
                .trim();
        }
        Ok(fields)
    }
}

fn zone(city: &City) -> Result<TimeZone, FileError> {
    TimeZone::get(city.time_zone).map_err(|_| FileError::TimeZone(city.time_zone))
}
