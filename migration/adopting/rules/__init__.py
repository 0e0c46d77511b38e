"""What adopting thinks: `found` is what it knows, `findings` what it makes of that, `deeds` what is to be done."""
