"""What the shop says is what its neighbours understand: no schema lies between them
that only one side keeps to."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from router.models import Delivery, FailedTask
from router.testing import deliver_due, is_settled, register_declared
from shop.models import Product
from subscribers.inventory.availability import available


@pytest.fixture
def seeded_shop(transactional_db: None) -> None:
    register_declared()
    call_command("seed_shop", verbosity=0)


@pytest.mark.usefixtures("seeded_shop")
def test_the_inventory_understands_the_first_stock_of_every_product() -> None:
    deliver_due()

    assert not FailedTask.objects.exists()
    assert is_settled()
    assert not Delivery.objects.exists()
    skus = list(Product.objects.values_list("sku", flat=True))
    assert set(available(skus)) == set(skus)
