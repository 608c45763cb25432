"""The API of another project beside the router's: its fields have the same names."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

STATES = [("arrived", "Arrived"), ("lost", "Lost")]


class ParcelSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=STATES)


class PalletSerializer(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=STATES)


class ParcelsApi(APIView):
    @extend_schema(request=ParcelSerializer, responses=PalletSerializer)
    def post(self, request: Request) -> Response:
        return Response(request.data)


urlpatterns = [
    path("api/parcels/", ParcelsApi.as_view()),
    path("", include("router.urls")),
]
