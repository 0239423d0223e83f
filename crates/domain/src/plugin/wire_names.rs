//! Enumerations with names on the wire, in the store and in the API's description: each name is written once.

/// Declares an enumeration: the type, and its wire names in order. The documentation of each value is in the API's
/// description, too, as `x-enumDescriptions`.
#[macro_export]
macro_rules! wire_names {
    ($(#[doc = $about:literal])+ $type:ident { $($(#[doc = $doc:literal])+ $variant:ident = $name:literal),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $type { $($(#[doc = $doc])+ #[serde(rename = $name)] $variant),+ }

        impl $type {
            /// Every wire name, in the order of the source model.
            pub const NAMES: &[&str] = &[$($name),+];

            /// Every value, in the same order.
            pub const ALL: &[$type] = &[$($type::$variant),+];

            /// The wire name.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }

            /// Parses a wire name.
            pub fn from_name(name: &str) -> Option<$type> {
                match name { $($name => Some($type::$variant),)+ _ => None }
            }
        }

        impl utoipa::PartialSchema for $type {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some(concat!($($about),+).trim()))
                    .enum_values(Some($type::NAMES.iter().copied()))
                    .extensions(Some(
                        [("x-enumDescriptions", serde_json::json!({ $($name: concat!($($doc),+).trim()),+ }))]
                            .into_iter()
                            .collect(),
                    ))
                    .into()
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
        }
    };
}
