//! Resident memory of this process, as the kernel counts it.

/// The resident memory when measuring began.
#[derive(Debug)]
pub(crate) struct Memory {
    idle_kib: f64,
}

impl Memory {
    /// Begins to measure: the peak is reset to what is resident now.
    pub(crate) fn start() -> Self {
        // Resets the peak; where that is not allowed, the peak since start is an upper bound.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self {
            idle_kib: field("VmRSS:"),
        }
    }

    /// By how much the peak since then is above the start.
    pub(crate) fn grown_mib(&self) -> f64 {
        (field("VmHWM:") - self.idle_kib).max(0.0) / 1024.0
    }
}

fn field(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(f64::NAN)
}
