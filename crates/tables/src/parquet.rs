//! Parquet column by column, below polars' frames: those know fewer types than files have, and want to know the type of
//! every column before they read one.

use std::io::Cursor;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use polars::error::{PolarsError, PolarsResult};
use polars_arrow::{
    array::{Array, BinaryViewArray, FixedSizeBinaryArray, PrimitiveArray},
    datatypes::{ArrowDataType, Field, TimeUnit},
    types::NativeType,
};
use polars_buffer::Buffer;
use polars_parquet::{
    parquet::schema::{
        Repetition,
        types::{
            IntegerType, ParquetType, PhysicalType, PrimitiveConvertedType, PrimitiveLogicalType,
            PrimitiveType, TimeUnit as ParquetTimeUnit,
        },
    },
    read::{BasicDecompressor, FileMetadata, PageReader, column_iter_to_arrays, read_metadata},
};

/// A Parquet file in memory.
pub(crate) struct ParquetFile {
    bytes: Buffer<u8>,
    metadata: FileMetadata,
}

/// The cells of a column; `None` is an empty one.
pub(crate) enum Values {
    /// Numbers with a fraction.
    Numbers(Vec<Option<f64>>),
    /// Whole numbers.
    Integers(Vec<Option<i64>>),
    /// Text.
    Text(Vec<Option<String>>),
    /// Moments.
    Moments(Vec<Option<DateTime<Utc>>>),
    /// Times of a wall clock whose zone is unknown.
    Local(Vec<Option<NaiveDateTime>>),
    /// Days.
    Dates(Vec<Option<NaiveDate>>),
    /// Times of a day.
    TimesOfDay(Vec<Option<NaiveTime>>),
    /// So many cells of a type of which bars are not made.
    Other(usize),
}

impl Values {
    /// How many cells there are.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Integers(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Moments(values) => values.len(),
            Self::Local(values) => values.len(),
            Self::Dates(values) => values.len(),
            Self::TimesOfDay(values) => values.len(),
            Self::Other(count) => *count,
        }
    }

    /// A cell as text, where it is text, a number, a day or a time of day; of a wall clock's time its day.
    pub(crate) fn words(&self, index: usize) -> Option<String> {
        match self {
            Self::Text(texts) => texts
                .get(index)?
                .as_deref()
                .map(|text| text.trim().to_owned()),
            Self::Integers(numbers) => numbers.get(index)?.map(|number| number.to_string()),
            Self::Numbers(numbers) => numbers.get(index)?.map(|number| number.to_string()),
            Self::Dates(dates) => dates.get(index)?.map(|date| date.to_string()),
            Self::Local(times) => times.get(index)?.map(|time| time.date().to_string()),
            Self::TimesOfDay(times) => times.get(index)?.map(|time| time.to_string()),
            Self::Moments(_) | Self::Other(_) => None,
        }
    }
}

impl ParquetFile {
    pub(crate) fn new(bytes: Vec<u8>) -> PolarsResult<Self> {
        let bytes = Buffer::from(bytes);
        let metadata = read_metadata(&mut Cursor::new(&*bytes))?;
        Ok(Self { bytes, metadata })
    }

    /// Names of its columns.
    pub(crate) fn names(&self) -> Vec<String> {
        let fields = self.metadata.schema().fields();
        fields.iter().map(|field| field.name().to_owned()).collect()
    }

    /// What a column holds, for messages.
    pub(crate) fn type_of(&self, index: usize) -> String {
        match self.metadata.schema().fields().get(index) {
            Some(ParquetType::PrimitiveType(column)) => {
                match (column.logical_type, column.converted_type) {
                    (Some(logical), _) => format!("{logical:?}"),
                    (None, Some(converted)) => format!("{converted:?}"),
                    (None, None) => format!("{:?}", column.physical_type),
                }
            }
            _ => "nested values".to_owned(),
        }
    }

    /// How many row groups it has.
    pub(crate) fn groups(&self) -> usize {
        self.metadata.row_groups.len()
    }

    /// Reads a column of a row group.
    pub(crate) fn column(&self, group: usize, index: usize) -> PolarsResult<Values> {
        let damaged =
            || PolarsError::ComputeError(format!("no column {index} in row group {group}").into());
        let group = self.metadata.row_groups.get(group).ok_or_else(damaged)?;
        let fields = self.metadata.schema().fields();
        let column = match fields.get(index).ok_or_else(damaged)? {
            ParquetType::PrimitiveType(column)
                if column.field_info.repetition != Repetition::Repeated =>
            {
                column
            }
            _ => return Ok(Values::Other(group.num_rows())),
        };
        // The place among all leaves: columns before it may be nested.
        let name = column.field_info.name.as_str();
        let chunk = group
            .parquet_columns()
            .iter()
            .find(|chunk| matches!(&*chunk.descriptor().path_in_schema, [path] if path.as_str() == name))
            .ok_or_else(damaged)?;
        let range = chunk.byte_range();
        let (start, end) = (range.start as usize, range.end as usize);
        if start > end || end > self.bytes.len() {
            let message = format!("the file ends within column {name}");
            return Err(PolarsError::ComputeError(message.into()));
        }
        let pages = PageReader::new(
            Cursor::new(self.bytes.clone().sliced(start..end)),
            chunk,
            Vec::new(),
            usize::MAX,
        );
        let field = Field::new(name.into(), storage(column.physical_type), true);
        let (arrays, _) = column_iter_to_arrays(
            vec![BasicDecompressor::new(pages, Vec::new())],
            vec![&chunk.descriptor().descriptor.primitive_type],
            field,
            None,
        )?;
        Ok(interpret(column, &arrays, group.num_rows()))
    }
}

/// The type that a column's cells are decoded as: what they are stored as, whatever they mean.
fn storage(physical: PhysicalType) -> ArrowDataType {
    match physical {
        PhysicalType::Boolean => ArrowDataType::Boolean,
        PhysicalType::Int32 => ArrowDataType::Int32,
        PhysicalType::Int64 => ArrowDataType::Int64,
        PhysicalType::Int96 => ArrowDataType::Timestamp(TimeUnit::Nanosecond, None),
        PhysicalType::Float => ArrowDataType::Float32,
        PhysicalType::Double => ArrowDataType::Float64,
        PhysicalType::ByteArray => ArrowDataType::BinaryView,
        PhysicalType::FixedLenByteArray(length) => ArrowDataType::FixedSizeBinary(length),
    }
}

/// What a column's whole numbers mean.
enum Meaning {
    Integer,
    Unsigned,
    Decimal(usize),
    Time { unit: ParquetTimeUnit, utc: bool },
    Date,
    TimeOfDay(ParquetTimeUnit),
    Other,
}

impl Meaning {
    fn of(column: &PrimitiveType) -> Self {
        use PrimitiveConvertedType as Converted;
        use PrimitiveLogicalType as Logical;
        if column.physical_type == PhysicalType::Int96 {
            return Self::Time {
                unit: ParquetTimeUnit::Nanoseconds,
                utc: false,
            };
        }
        match (column.logical_type, column.converted_type) {
            (
                Some(Logical::Timestamp {
                    unit,
                    is_adjusted_to_utc,
                }),
                _,
            ) => Self::Time {
                unit,
                utc: is_adjusted_to_utc,
            },
            // Files from before logical types do not say of what clock they are.
            (None, Some(Converted::TimestampMillis)) => Self::Time {
                unit: ParquetTimeUnit::Milliseconds,
                utc: false,
            },
            (None, Some(Converted::TimestampMicros)) => Self::Time {
                unit: ParquetTimeUnit::Microseconds,
                utc: false,
            },
            (Some(Logical::Decimal(_, scale)), _) | (None, Some(Converted::Decimal(_, scale))) => {
                Self::Decimal(scale)
            }
            (
                Some(Logical::Integer(
                    IntegerType::UInt8
                    | IntegerType::UInt16
                    | IntegerType::UInt32
                    | IntegerType::UInt64,
                )),
                _,
            )
            | (
                None,
                Some(Converted::Uint8 | Converted::Uint16 | Converted::Uint32 | Converted::Uint64),
            ) => Self::Unsigned,
            (Some(Logical::Date), _) | (None, Some(Converted::Date)) => Self::Date,
            // Whether it is of UTC's clock is not believed: Arrow says so of every time of day.
            (Some(Logical::Time { unit, .. }), _) => Self::TimeOfDay(unit),
            (None, Some(Converted::TimeMillis)) => Self::TimeOfDay(ParquetTimeUnit::Milliseconds),
            (None, Some(Converted::TimeMicros)) => Self::TimeOfDay(ParquetTimeUnit::Microseconds),
            (Some(Logical::Uuid), _) | (None, Some(Converted::Interval)) => Self::Other,
            _ => Self::Integer,
        }
    }
}

fn interpret(column: &PrimitiveType, arrays: &[Box<dyn Array>], rows: usize) -> Values {
    let meaning = Meaning::of(column);
    match column.physical_type {
        PhysicalType::Int32 => {
            let numbers = primitives::<i32>(arrays);
            match meaning {
                // The bits of an unsigned number are kept in a signed one.
                Meaning::Unsigned => Values::Integers(
                    numbers
                        .map(|number| number.map(|number| i64::from(number.cast_unsigned())))
                        .collect(),
                ),
                _ => integers(&meaning, numbers.map(|number| number.map(i64::from)), rows),
            }
        }
        PhysicalType::Int64 | PhysicalType::Int96 => {
            let numbers = primitives::<i64>(arrays);
            match meaning {
                Meaning::Unsigned => Values::Numbers(
                    numbers
                        .map(|number| number.map(|number| number.cast_unsigned() as f64))
                        .collect(),
                ),
                _ => integers(&meaning, numbers, rows),
            }
        }
        PhysicalType::Float => Values::Numbers(
            primitives::<f32>(arrays)
                .map(|number| number.map(shortest))
                .collect(),
        ),
        PhysicalType::Double => Values::Numbers(primitives::<f64>(arrays).collect()),
        PhysicalType::ByteArray => {
            let cells = arrays
                .iter()
                .filter_map(|array| array.as_any().downcast_ref::<BinaryViewArray>())
                .flat_map(BinaryViewArray::iter);
            match meaning {
                Meaning::Decimal(scale) => Values::Numbers(
                    cells
                        .map(|cell| cell.and_then(|bytes| decimal(bytes, scale)))
                        .collect(),
                ),
                _ => Values::Text(
                    cells
                        .map(|cell| cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
                        .collect(),
                ),
            }
        }
        PhysicalType::FixedLenByteArray(_) => {
            let cells = arrays
                .iter()
                .filter_map(|array| array.as_any().downcast_ref::<FixedSizeBinaryArray>())
                .flat_map(FixedSizeBinaryArray::iter);
            match (meaning, column.logical_type) {
                (Meaning::Decimal(scale), _) => Values::Numbers(
                    cells
                        .map(|cell| cell.and_then(|bytes| decimal(bytes, scale)))
                        .collect(),
                ),
                (_, Some(PrimitiveLogicalType::Float16)) => Values::Numbers(
                    cells
                        .map(|cell| Some(half(cell?.try_into().ok()?)))
                        .collect(),
                ),
                _ => Values::Other(rows),
            }
        }
        PhysicalType::Boolean => Values::Other(rows),
    }
}

fn primitives<T: NativeType>(arrays: &[Box<dyn Array>]) -> impl Iterator<Item = Option<T>> {
    arrays
        .iter()
        .filter_map(|array| array.as_any().downcast_ref::<PrimitiveArray<T>>())
        .flat_map(|array| array.iter().map(Option::<&T>::copied))
}

fn integers(meaning: &Meaning, numbers: impl Iterator<Item = Option<i64>>, rows: usize) -> Values {
    match *meaning {
        Meaning::Integer | Meaning::Unsigned => Values::Integers(numbers.collect()),
        Meaning::Decimal(scale) => Values::Numbers(
            numbers
                .map(|number| number.map(|number| scaled(number.into(), scale)))
                .collect(),
        ),
        Meaning::Time { unit, utc } => {
            let moment = |count: i64| match unit {
                ParquetTimeUnit::Milliseconds => DateTime::from_timestamp_millis(count),
                ParquetTimeUnit::Microseconds => DateTime::from_timestamp_micros(count),
                ParquetTimeUnit::Nanoseconds => Some(DateTime::from_timestamp_nanos(count)),
            };
            let times = numbers.map(|number| number.and_then(moment));
            if utc {
                Values::Moments(times.collect())
            } else {
                Values::Local(
                    times
                        .map(|time| time.map(|time| time.naive_utc()))
                        .collect(),
                )
            }
        }
        Meaning::Date => Values::Dates(numbers.map(|number| day(number?)).collect()),
        Meaning::TimeOfDay(unit) => {
            Values::TimesOfDay(numbers.map(|number| time_of_day(number?, unit)).collect())
        }
        Meaning::Other => Values::Other(rows),
    }
}

/// A day by its number since 1970.
fn day(number: i64) -> Option<NaiveDate> {
    let moment = DateTime::from_timestamp(number.checked_mul(86_400)?, 0)?;
    Some(moment.date_naive())
}

/// A time of day by what has passed since midnight.
fn time_of_day(count: i64, unit: ParquetTimeUnit) -> Option<NaiveTime> {
    let per_second = match unit {
        ParquetTimeUnit::Milliseconds => 1_000,
        ParquetTimeUnit::Microseconds => 1_000_000,
        ParquetTimeUnit::Nanoseconds => 1_000_000_000,
    };
    let seconds = u32::try_from(count.div_euclid(per_second)).ok()?;
    let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, u32::try_from(nanos).ok()?)
}

/// A decimal of a whole number and how many of its digits stand behind the point.
fn scaled(mut number: i128, mut scale: usize) -> f64 {
    // Without the zeros at its end the number is exact as a float, and so is the power of ten: their quotient is the
    // float nearest to the decimal.
    while scale > 0 && number % 10 == 0 {
        number /= 10;
        scale -= 1;
    }
    number as f64 / 10_f64.powi(scale as i32)
}

/// A decimal of the bytes of a whole number, the highest first; `None` beyond what a 128-bit number holds.
fn decimal(bytes: &[u8], scale: usize) -> Option<f64> {
    let negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let filler = if negative { 0xff } else { 0 };
    let (spare, kept) = bytes.split_at(bytes.len().saturating_sub(16));
    if spare.iter().any(|byte| *byte != filler) {
        return None;
    }
    let mut whole = [filler; 16];
    whole.get_mut(16 - kept.len()..)?.copy_from_slice(kept);
    Some(scaled(i128::from_be_bytes(whole), scale))
}

/// A single-precision number as the decimal that it was made from: 100.06, not 100.05999755859375.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// A half-precision number: one bit of sign, five of exponent, ten of fraction (IEEE 754 binary16).
fn half(bytes: [u8; 2]) -> f64 {
    let bits = u16::from_le_bytes(bytes);
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1_024.0) * 2_f64.powi(exponent - 15),
    };
    if bits >> 15 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_the_nearest_floats() {
        assert_eq!(scaled(10_006, 2), 100.06);
        assert_eq!(scaled(100_060_000_000_000_000_000, 18), 100.06);
        assert_eq!(scaled(-35_439, 0), -35_439.0);
        assert_eq!(decimal(&[0x27, 0x16], 2), Some(100.06));
        assert_eq!(decimal(&[0xff, 0xfe], 0), Some(-2.0));
        assert_eq!(
            decimal(&[&[0_u8; 30][..], &[0x27, 0x16]].concat(), 2),
            Some(100.06)
        );
        assert_eq!(decimal(&[1; 32], 2), None);
    }

    #[test]
    fn days_and_times_of_day_are_read() {
        assert_eq!(day(17_582).unwrap().to_string(), "2018-02-20");
        for (count, unit) in [
            (34_200_000, ParquetTimeUnit::Milliseconds),
            (34_200_000_000, ParquetTimeUnit::Microseconds),
            (34_200_000_000_000, ParquetTimeUnit::Nanoseconds),
        ] {
            assert_eq!(time_of_day(count, unit).unwrap().to_string(), "09:30:00");
        }
        assert_eq!(time_of_day(-1, ParquetTimeUnit::Milliseconds), None);
    }

    #[test]
    fn halves_are_read() {
        for (bits, expected) in [
            (0x3c00_u16, 1.0),
            (0xc000, -2.0),
            (0x5640, 100.0),
            (0x0001, 2_f64.powi(-24)),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half(bits.to_le_bytes()), expected);
        }
        assert!(half(0x7e00_u16.to_le_bytes()).is_nan());
    }
}
