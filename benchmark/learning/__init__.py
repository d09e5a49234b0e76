"""What methods trained with torch share: the loop, scaling, checks of options; it knows no method."""
