"""The stand-ins under local/, which stand by themselves."""
