from unisid.api.daily import update as update
from unisid.api.doctor import doctor as doctor
from unisid.api.flows import Run as Run
from unisid.api.flows import configured as configured
from unisid.api.flows import plan as plan
from unisid.api.flows import run as run
from unisid.api.recommender import Recommendations as Recommendations
from unisid.api.recommender import Recommender as Recommender
from unisid.artifacts.store import Store as Store
from unisid.errors import ArtifactError as ArtifactError
from unisid.errors import BusyError as BusyError
from unisid.errors import ConfigError as ConfigError
from unisid.errors import DataError as DataError
from unisid.errors import DriftError as DriftError
from unisid.errors import UnisidError as UnisidError
from unisid.planning import Recipe as Recipe

__version__: str
