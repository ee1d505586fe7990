//! The Device Provisioning Service of a group or an individual enrollment. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refer::TrustedCa;

/// Device Provisioning Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dps {
    /// Id scope of the service, such as `0ne00ABCDEF`. Immutable.
    #[schemars(length(min = 1, max = 128), extend("x-kubernetes-validations" = [{
        "rule": "self.matches('^[A-Za-z0-9]+$')",
        "message": "an id scope has letters and digits only, such as 0ne00ABCDEF: copy it from DPS or IoT Central"
    }, {
        "rule": "self == oldSelf",
        "message": "idScope cannot be changed: it is a part of the devices' identities. Delete the object and create another one"
    }]))]
    pub id_scope: String,
    /// Host name of the service, with a port unless it is 8883.
    #[serde(default = "Dps::default_endpoint")]
    #[schemars(schema_with = "host_port")]
    pub endpoint: String,
    /// CA certificates for the service and its hubs, in addition to the public roots.
    #[serde(rename = "trustedCA", skip_serializing_if = "Option::is_none")]
    pub trusted_ca: Option<TrustedCa>,
}

impl Dps {
    /// Returns the host name of all services in the public cloud.
    fn default_endpoint() -> String {
        "global.azure-devices-provisioning.net".to_owned()
    }
}

/// Returns the schema of a host name with an optional port.
pub(crate) fn host_port(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "string",
        "maxLength": 259,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[A-Za-z0-9_-]{1,63}(\\\\.[A-Za-z0-9_-]{1,63})*(:[0-9]{1,5})?$')",
            "message": "use a host name such as contoso.azure-devices.net, with a port if it is not 8883, and without a scheme or a path"
        }, {
            "rule": "!self.matches('^[^:]+:[0-9]{1,5}$') || (int(self.substring(self.indexOf(':') + 1)) >= 1 && \
                int(self.substring(self.indexOf(':') + 1)) <= 65535)",
            "message": "a port is a number from 1 to 65535"
        }]
    })
}
