//! Counts, read from the sizes of the indexes: their cost does not depend on the number of plugins.

use indexmap::IndexMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::index::IndexKey;
use crate::plugin::{ExecutionMode, Name, Provider};
use crate::revision::Revision;
use crate::state::State;

/// Numbers of plugins by property.
#[derive(Debug, Serialize, ToSchema)]
#[cfg_attr(test, derive(PartialEq))]
pub struct Stats {
    /// All plugins.
    pub total: usize,
    /// Plugins with `is_configured`.
    pub configured: usize,
    /// Plugins without `is_configured`.
    pub unconfigured: usize,
    /// Plugins with `is_local_execution`.
    pub local: usize,
    /// Plugins with `is_cloud_execution`.
    pub cloud: usize,
    /// Plugins with `has_active_resources`.
    pub with_active_resources: usize,
    /// By category; every category in use.
    #[schema(value_type = std::collections::BTreeMap<String, usize>)]
    pub by_category: IndexMap<String, usize>,
    /// By execution mode; every mode in use.
    #[schema(value_type = std::collections::BTreeMap<String, usize>)]
    pub by_execution_mode: IndexMap<&'static str, usize>,
    /// By provider of the remote resource; every provider in use.
    #[schema(value_type = std::collections::BTreeMap<String, usize>)]
    pub by_provider: IndexMap<&'static str, usize>,
    /// The revision of the counts.
    #[schema(value_type = u64)]
    pub revision: Revision,
}

impl Stats {
    /// Counts the plugins of a state.
    pub fn of(state: &State) -> Stats {
        let indexes = state.indexes();
        let used = |(name, count): (&'static str, usize)| (count > 0).then_some((name, count));
        let by_mode = |mode: &ExecutionMode| (mode.as_str(), indexes.count(&IndexKey::Mode(*mode)));
        let by_provider = |provider: &Provider| (provider.as_str(), indexes.count(&IndexKey::Provider(*provider)));
        let total = state.plugins().size();
        let configured = indexes.count(&IndexKey::Configured);
        let local_modes = ExecutionMode::ALL.iter().filter(|mode| mode.is_local());
        let local = local_modes.map(|mode| indexes.count(&IndexKey::Mode(*mode))).sum();
        Stats {
            total,
            configured,
            unconfigured: total - configured,
            local,
            cloud: total - local,
            with_active_resources: indexes.count(&IndexKey::Active),
            by_category: indexes.categories().map(|(name, count)| (name.to_string(), count)).collect(),
            by_execution_mode: ExecutionMode::ALL.iter().map(by_mode).filter_map(used).collect(),
            by_provider: Provider::ALL.iter().map(by_provider).filter_map(used).collect(),
            revision: state.revision(),
        }
    }
}

/// A category: one that is in use, or one with a display name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Category)]
pub struct CategoryView {
    /// The category, as plugins name it.
    #[schema(examples("fine_tuning"))]
    pub name: String,
    /// Its display name; derived from the name if none is set.
    #[schema(examples("Fine tuning"))]
    pub display_name: String,
    /// The number of its plugins.
    pub plugins: usize,
}

impl CategoryView {
    /// One category.
    pub fn of(state: &State, name: &Name) -> CategoryView {
        let display_name = match state.named_categories().get(name) {
            Some(category) => category.display_name.to_string(),
            None => made_display_name(name.as_str()),
        };
        let plugins = state.indexes().count(&IndexKey::Category(name.clone()));
        CategoryView { name: name.to_string(), display_name, plugins }
    }

    /// Every category, in the order of names.
    pub fn all(state: &State) -> Vec<CategoryView> {
        let used = state.indexes().categories().map(|(name, _)| name);
        let names: std::collections::BTreeSet<_> = used.chain(state.named_categories().keys()).collect();
        names.into_iter().map(|name| CategoryView::of(state, name)).collect()
    }
}

/// "fine_tuning" is shown as "Fine tuning".
fn made_display_name(name: &str) -> String {
    let spaced = name.replace('_', " ");
    let mut chars = spaced.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
