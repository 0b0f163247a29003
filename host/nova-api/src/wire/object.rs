//! Structs that are read from JSON objects only. What serde derives would take a list too, its
//! items in the order of the fields, which no client means.

/// Implements `Deserialize` (and `Serialize` where asked) for a struct whose derives carry
/// `#[serde(remote = "Self")]`, so that only an object is accepted.
macro_rules! only_object {
    ($name:ident) => {
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Object;

                impl<'de> serde::de::Visitor<'de> for Object {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        map: A,
                    ) -> Result<$name, A::Error> {
                        // The derived function, which the remote attribute leaves inherent.
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(Object)
            }
        }
    };
    ($name:ident, Serialize) => {
        only_object!($name);

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // The derived function, as above.
                $name::serialize(self, serializer)
            }
        }
    };
}

pub(crate) use only_object;
