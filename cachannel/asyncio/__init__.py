"""cachannel on asyncio."""
