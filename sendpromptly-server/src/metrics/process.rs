//! What the operating system says of this process, by the names that every Prometheus client library uses.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Reads them when they are asked for.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Where `/proc` is not there or not as expected, the figures are left out.
        if let Some(usage) = Usage::read() {
            usage.encode(&mut encoder)?;
        }
        Ok(())
    }
}

/// As `/proc/self` tells it, see proc(5).
#[derive(Debug)]
struct Usage {
    resident_bytes: u64,
    processor_seconds: f64,
    open_files: u64,
}

impl Usage {
    fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name, in brackets, may hold anything; after it the fields are counted from the third.
        let (_, fields) = stat.rsplit_once(')')?;
        let field = |number: usize| {
            fields
                .split_ascii_whitespace()
                .nth(number - 3)?
                .parse::<u64>()
                .ok()
        };
        let (user, system, resident_pages) = (field(14)?, field(15)?, field(24)?);
        let ticks = rustix::param::clock_ticks_per_second();
        Some(Self {
            resident_bytes: resident_pages * rustix::param::page_size() as u64,
            processor_seconds: (user + system) as f64 / ticks as f64,
            open_files: fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        })
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let resident = ConstGauge::new(self.resident_bytes);
        let help = "Memory that is resident";
        resident.encode(encoder.encode_descriptor(
            "process_resident_memory",
            help,
            Some(&Unit::Bytes),
            resident.metric_type(),
        )?)?;
        let processor = ConstCounter::new(self.processor_seconds);
        let help = "Time of processors that was used";
        processor.encode(encoder.encode_descriptor(
            "process_cpu",
            help,
            Some(&Unit::Seconds),
            processor.metric_type(),
        )?)?;
        let files = ConstGauge::new(self.open_files);
        let help = "Files that are open, connections among them";
        files.encode(encoder.encode_descriptor("process_open_fds", help, None, files.metric_type())?)
    }
}
