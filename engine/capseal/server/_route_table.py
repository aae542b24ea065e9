"""Which route a request takes: as Starlette found it, or would find it."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import Scope


class RouteTable:
    """The routes of an application, in order."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes
        self._by_id = {id(route): route for route in routes}

    def route_of(self, scope: Scope) -> BaseRoute | None:
        """Return the route that Starlette took or will take, None where there is none for the path.

        That is the first for path and method, or else the first for the path.
        """
        # What Starlette noted may be a route of the application in which this one is mounted.
        taken = self._by_id.get(id(scope.get("route")))
        return self._found(scope) if taken is None else taken

    def _found(self, scope: Scope) -> BaseRoute | None:
        partial = None
        for route in self._routes:
            match = route.matches(scope)[0]
            if match is Match.FULL:
                return route
            if match is Match.PARTIAL and partial is None:
                partial = route
        return partial
