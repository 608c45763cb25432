"""What the router's admin pages have in common: they show, and change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.contrib.admin import ShowFacets
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms import Form
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import Promise, cached_property
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.views.decorators.debug import (
    sensitive_post_parameters,
    sensitive_variables,
)

from router.admin.acting import require
from router.admin.cells import tidy
from router.admin.filters import limit_lookups
from router.flow.audit import TARGETS, target_of
from router.groups import may
from router.models import Subscriber
from router.observe.pruned import hint_of_missing

if TYPE_CHECKING:
    RowsPaginator = Paginator[Any]
else:
    RowsPaginator = Paginator

RowView = Callable[[HttpRequest, Any], HttpResponse]

#: Older rows are found by the search, not by turning pages.
MAX_ROWS = 10_000


class CappedPaginator(RowsPaginator):
    """Counts at most `MAX_ROWS` rows: the newest, as lists are ordered by -pk."""

    @cached_property
    def count(self) -> int:
        return min(self._counted, MAX_ROWS)

    @property
    def is_capped(self) -> bool:
        """Whether there are more rows than are counted and paged."""
        return self._counted > MAX_ROWS

    @cached_property
    def _counted(self) -> int:
        """Counts one row more than the pages show, to know that there are more."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[: MAX_ROWS + 1].count()


if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin as PlainAdmin

    BaseAdmin = PlainAdmin[Any]
else:
    from unfold.admin import ModelAdmin as BaseAdmin


class ReadOnlyAdmin(BaseAdmin):
    """A list and a page for each row; no form anywhere.

    Cheap on big tables: counts are capped and only newest-first by key is offered.
    """

    detail_template: str
    #: Label and permission of what the list offers: it hides them from other people.
    list_acts: tuple[tuple[str | Promise, str], ...] = ()
    list_before_template = "router/admin/list_acts.html"
    #: What an empty list says: what will appear here, and how to make it appear.
    empty_list_hint: str | Promise = ""
    #: Whether rows go with their events when these are old.
    is_pruned = False

    actions: Any = None
    ordering = ("-pk",)
    sortable_by = ()
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 50
    list_fullwidth = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        tidy(self)
        limit_lookups(self)

    #: Of the page that adds a row, where one is added.
    add_form: Callable[..., Form]
    add_template: str
    add_title: str | Promise

    def has_add_permission(self, request: HttpRequest) -> bool:
        return hasattr(self, "add_form") and super().has_add_permission(request)

    def add(self, request: HttpRequest, form: Any) -> HttpResponse | None:
        """The answer to a row that is added; None, with reasons in the form, if not."""
        raise NotImplementedError

    @sensitive_variables()
    @method_decorator(sensitive_post_parameters())
    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not hasattr(self, "add_form"):
            raise PermissionDenied
        require(request, f"add_{self.opts.model_name}")
        form = self.add_form(request.POST or None)
        response = self.add(request, form) if form.is_valid() else None
        context = {"form": form, "title": self.add_title}
        return response or self.page(request, self.add_template, None, context)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if object_id is None:
            raise PermissionDenied
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        row = self.get_object(request, object_id)
        if row is None:
            hint = hint_of_missing() if self.is_pruned else ""
            values = {"name": self.opts.verbose_name, "id": object_id}
            missing = gettext("No %(name)s %(id)s.") % values
            raise Http404(f"{missing} {hint}".strip())
        require(request, f"view_{self.opts.model_name}")
        return self.page(
            request, self.detail_template, row, self.detail_context(request, row)
        )

    def detail_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the page of one row shows beside the row."""
        return {}

    def page(
        self,
        request: HttpRequest,
        template: str,
        row: Model | None,
        context: dict[str, Any],
    ) -> TemplateResponse:
        """A page in the admin's layout."""
        common = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "audit_url": self._audit_url(request, row),
            "preserved_filters": self.get_preserved_filters(request),
            "title": str(row) if row else self.opts.verbose_name_plural,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, template, {**common, **context})

    def _audit_url(self, request: HttpRequest, row: Model | None) -> str:
        """The list of what was done to the row; "" where there is none for the person.

        That of a subscriber has what was done to its runs and failed tasks, too.
        """
        if row is None or self.opts.model_name not in TARGETS:
            return ""
        if not may(request, "view_auditentry"):
            return ""
        is_subscriber = isinstance(row, Subscriber)
        query = {"subscriber": row.pk} if is_subscriber else {"object": target_of(row)}
        return f"{reverse('admin:router_auditentry_changelist')}?{urlencode(query)}"

    def row_urls(self, permission: str, **views: RowView) -> list[URLPattern]:
        """`<pk>/<name>/` for each view; the views get the row instead of its key.

        Answers 403 to a user without the permission, and 404 without a row.
        """

        def url(name: str, view: RowView) -> URLPattern:
            def respond(request: HttpRequest, pk: int) -> HttpResponse:
                require(request, permission)
                row = self.get_object(request, str(pk))
                if row is None:
                    raise Http404
                return view(request, row)

            return path(
                f"<int:pk>/{name.replace('_', '-')}/",
                self.admin_site.admin_view(respond),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )

        return [url(name, view) for name, view in views.items()]

    def redirect_to(
        self, request: HttpRequest, name: str, *args: object
    ) -> HttpResponseRedirect:
        """Redirects to one of this model's pages, with the filters of the list from
        which the person came."""
        filters = self.get_preserved_filters(request)
        context: dict[str, Any] = {"preserved_filters": filters, "opts": self.opts}
        return HttpResponseRedirect(
            add_preserved_filters(context, self.url(name, *args))
        )

    def url(self, name: str, *args: object) -> str:
        """The address of one of this model's admin pages."""
        return reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}", args=args
        )
