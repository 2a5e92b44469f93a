//! The configuration file.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

/// Longest configuration file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the file says. An unknown setting is an error: a misspelled one would go unnoticed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The store. A path that is not absolute begins at the folder of this file.
    pub(crate) store: PathBuf,
    /// The key; by default beside the store, with the ending `.key`.
    pub(crate) key_file: Option<PathBuf>,
    /// Logs, on standard error.
    #[serde(default)]
    pub(crate) log: Log,
    /// How much is done at once.
    #[serde(default)]
    pub(crate) engine: EngineBounds,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `text` or `json`.
    pub(crate) format: LogFormat,
    /// A level such as `info`, or a filter such as `postroom=debug,warn`.
    pub(crate) level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is done at once; what is not set stays as the library has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EngineBounds {
    /// Workloads that run at the same time, over all profiles.
    pub(crate) active: Option<NonZeroUsize>,
    /// Test & Enable jobs that run at the same time.
    pub(crate) jobs: Option<NonZeroUsize>,
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// With the line, where something in it is wrong.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        use std::io::Read as _;
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let mut config = Self::parse(&text).with_context(|| format!("in {}", path.display()))?;
        if let Some(folder) = path.parent() {
            config.store = folder.join(&config.store);
            config.key_file = config.key_file.map(|file| folder.join(file));
        }
        Ok(config)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        Ok(toml::from_str(text)?)
    }

    /// The key file in force.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.key_file
            .clone()
            .unwrap_or_else(|| self.store.with_extension("key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_whole_file() {
        let config = Config::parse(
            "store = \"/var/lib/postroom/postroom.sqlite\"\nkey_file = \"/etc/postroom/key\"\n\
             [log]\nformat = \"json\"\nlevel = \"warn\"\n[engine]\nactive = 8\n",
        )
        .unwrap();
        assert_eq!(config.log.format, LogFormat::Json);
        assert_eq!(config.engine.active, NonZeroUsize::new(8));
        assert_eq!(config.key_file(), Path::new("/etc/postroom/key"));
    }

    #[test]
    fn the_key_lies_beside_the_store_by_default() {
        let config = Config::parse("store = \"/a/b.sqlite\"").unwrap();
        assert_eq!(config.key_file(), Path::new("/a/b.key"));
        assert_eq!(config.log, Log::default());
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, line, what) in [
            ("store = \"a\"\nstroe = \"b\"\n", "line 2", "stroe"),
            ("store = \"a\"\n[log]\nformat = \"xml\"\n", "line 3", "xml"),
            ("store = \"a\"\n[engine]\nactive = 0\n", "line 3", "zero"),
            ("[log]\n", "line 1", "store"),
            ("store = \n", "line 1", ""),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(
                error.contains(line) && error.contains(what),
                "{text:?}: {error}"
            );
        }
    }
}
